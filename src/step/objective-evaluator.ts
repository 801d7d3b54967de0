import { gradients } from "../graph/gradient.ts";
import { interpret } from "../graph/interpreter.ts";
import { subtract } from "../graph/ops/elementwise.ts";
import { defineProgram, type Program } from "../graph/program.ts";
import { input, type Tensor, type Value } from "../graph/tensor.ts";
import type { Answer, Context, Objective } from "../objectives/objective.ts";
import type { StatisticName } from "../objectives/statistics.ts";

/**
 * Numbers of one response of one example by name, in order of its tokens: statistics (see
 * `StatisticName`), constants that were given, and `random`. Constants of the whole example stand
 * with its first response and have one element.
 */
export type ResponseVectors = Record<string, Float64Array>;

/** The result of an objective for one example. */
export interface ExampleOutcome {
  /** The loss of each of the objective's terms. */
  readonly losses: readonly number[];
  /** Their sum, each times its share. */
  readonly loss: number;
  /** One for each response. */
  readonly rewards: readonly number[] | undefined;
  readonly plainRewards: readonly number[] | undefined;
  /** For each response, the gradient of all losses for each statistic that they depend on. */
  readonly gradients: readonly ResponseVectors[];
}

/** An objective's numbers that live from step to step. */
export type ObjectiveState = Readonly<Record<string, number>>;

/** The share of each term of an objective, and the state before the step. */
export interface EvaluatorSettings {
  /** By default the terms' weights. */
  readonly shares?: readonly number[];
  /** By default the initial one. */
  readonly state?: ObjectiveState;
}

/**
 * Evaluates an objective and its gradient on per-token statistics, in float64: the vectors are
 * short, so exactness is cheap.
 */
export class ObjectiveEvaluator {
  readonly #objective: Objective;
  /** As in training: the state is updated first. */
  readonly #updating: Program;
  /** As in evaluation: the state stays. */
  readonly #still: Program;

  /**
   * @param available the statistics that every response comes with, besides what the objective must
   * be given
   */
  constructor(objective: Objective, available: readonly StatisticName[]) {
    this.#objective = objective;
    const inputs: Record<string, Tensor> = {};
    const named = (name: string, shape: readonly string[]) => {
      inputs[name] = input(shape);
      return inputs[name];
    };
    const answers = Array.from({ length: objective.responses }, (_, side) =>
      answerOf((name) => named(key(name, side), ["examples", "length"]), objective, available),
    );
    const context: Context = {
      given: ofNames(namesGiven(objective, "example"), (name) => named(key(name, 0), ["examples"])),
      state: ofNames(Object.keys(objective.initialState), (name) => named(stateKey(name), [])),
    };
    const next = objective.updateState?.(answers, context);
    const program = (state: Context["state"]) => {
      const losses = objective.losses(answers, { ...context, state });
      const shares = losses.map(() => input(["examples"]));
      const differentiated = Object.keys(inputs).filter((name) => this.#hasGradient(name));
      const derivatives = gradients(
        losses.map((loss, term) => [loss, shares[term]!]),
        differentiated.map((name) => inputs[name]!),
      );
      const outputs: Record<string, Tensor> = {};
      const collect = (name: string, tensors: readonly (Tensor | undefined)[] = []) =>
        tensors.forEach((tensor, index) => {
          if (tensor) outputs[key(name, index)] = tensor;
        });
      collect("loss", losses);
      collect("reward", objective.rewards?.(answers));
      if (available.includes("referenceLogp")) collect("plain reward", objective.plainRewards?.(answers));
      differentiated.forEach((name, index) => {
        if (derivatives[index]) outputs[`gradient of ${name}`] = derivatives[index];
      });
      if (next) for (const [name, tensor] of Object.entries(next)) outputs[stateKey(name)] = tensor;
      const named = Object.fromEntries(shares.map((tensor, term) => [key("share", term), tensor]));
      return defineProgram(`objective ${objective.name}`, { ...inputs, ...named }, outputs);
    };
    this.#still = program(context.state);
    this.#updating = next ? program(next) : this.#still;
  }

  /**
   * Evaluates examples with the state as it is.
   *
   * @param examples for each example the vectors of its responses (chosen, then rejected)
   */
  evaluate(examples: readonly (readonly ResponseVectors[])[], settings: EvaluatorSettings = {}): ExampleOutcome[] {
    return this.#run(this.#still, examples, settings).outcomes;
  }

  /** Evaluates the examples of a whole step: the state is updated with them first. */
  evaluateStep(
    examples: readonly (readonly ResponseVectors[])[],
    settings: EvaluatorSettings = {},
  ): { outcomes: ExampleOutcome[]; state: ObjectiveState } {
    return this.#run(this.#updating, examples, settings);
  }

  #run(program: Program, examples: readonly (readonly ResponseVectors[])[], settings: EvaluatorSettings) {
    const { name, responses: wanted, terms, initialState } = this.#objective;
    const { shares = terms.map(({ weight }) => weight), state = initialState } = settings;
    const other = examples.find(({ length }) => length !== wanted);
    if (other) throw new Error(`${name} takes ${wanted} responses per example, not ${other.length}`);
    const results = interpret(program, this.#inputs(program, examples, shares, state));
    const numbers = (name: string, count: number, example: number) =>
      Array.from({ length: count }, (_, index) => results[key(name, index)]!.data[example]!);
    const ofResponses = (name: string, example: number) => results[key(name, 0)] && numbers(name, wanted, example);
    const length = longest(examples);
    const outcomes = examples.map((responses, example): ExampleOutcome => {
      const losses = numbers("loss", terms.length, example);
      return {
        losses,
        loss: losses.reduce((sum, loss, term) => sum + shares[term]! * loss, 0),
        rewards: ofResponses("reward", example),
        plainRewards: ofResponses("plain reward", example),
        gradients: responses.map(({ policyLogp }, side) =>
          Object.fromEntries(
            statisticsOf(program, side).map((statistic) => {
              const { data } = results[`gradient of ${key(statistic, side)}`]!;
              const start = example * length;
              return [statistic, (data as Float64Array).slice(start, start + policyLogp!.length)];
            }),
          ),
        ),
      };
    });
    const next = Object.keys(initialState).map((name) => [name, results[stateKey(name)]?.data[0] ?? state[name]!]);
    return { outcomes, state: Object.fromEntries(next) };
  }

  #inputs(
    program: Program,
    examples: readonly (readonly ResponseVectors[])[],
    shares: readonly number[],
    state: ObjectiveState,
  ): Record<string, Value> {
    const count = examples.length;
    const length = longest(examples);
    const inputs: Record<string, Value> = {};
    shares.forEach((share, term) => {
      inputs[key("share", term)] = { shape: [count], data: new Float64Array(count).fill(share) };
    });
    for (const [name, value] of Object.entries(state))
      inputs[stateKey(name)] = { shape: [], data: Float64Array.of(value) };
    const perExample = namesGiven(this.#objective, "example");
    for (const key of program.inputs.keys()) {
      if (key in inputs) continue;
      const [name, side] = parse(key);
      const vectors = examples.map((responses) => vectorOf(responses[side]!, name));
      if (perExample.includes(name)) {
        inputs[key] = { shape: [count], data: Float64Array.from(vectors, ([value]) => value!) };
        continue;
      }
      const data = new Float64Array(count * length);
      vectors.forEach((vector, example) => {
        data.set(vector, example * length);
      });
      inputs[key] = { shape: [count, length], data };
    }
    return inputs;
  }

  /** True if the policy's parameters have a part in an input. */
  #hasGradient(inputName: string): boolean {
    const [name] = parse(inputName);
    return name === "policyLogp" || this.#objective.statistics[name as keyof Objective["statistics"]] === "gradient";
  }
}

/** The tensors of one answer, each an input of its own. */
function answerOf(named: (name: string) => Tensor, objective: Objective, available: readonly StatisticName[]): Answer {
  const statistics = ofNames(available, named) as Record<StatisticName, Tensor> & Partial<Answer>;
  const { policyLogp, referenceLogp } = statistics;
  return {
    ...statistics,
    ratio: referenceLogp ? subtract(policyLogp, referenceLogp) : policyLogp,
    mask: named("mask"),
    position: named("position"),
    given: ofNames(namesGiven(objective, "token"), named),
    ...(objective.random && { random: named("random") }),
  };
}

/** The constants of one kind that an objective must be given. */
export function namesGiven({ given }: Pick<Objective, "given">, kind: "token" | "example"): string[] {
  return Object.keys(given).filter((name) => given[name] === kind);
}

/** The numbers of one input for one response. */
function vectorOf(response: ResponseVectors, name: string): Float64Array {
  const { length } = response.policyLogp!;
  if (name === "mask") return new Float64Array(length).fill(1);
  if (name === "position") return Float64Array.from({ length }, (_, index) => index + 1);
  const vector = response[name];
  if (!vector) throw new Error(`a response has no ${name}`);
  return vector;
}

/** The statistics of a response that a program has a gradient for. */
function statisticsOf({ outputs }: Program, side: number): string[] {
  const prefix = "gradient of ";
  return [...outputs.keys()]
    .filter((name) => name.startsWith(prefix) && parse(name)[1] === side)
    .map((name) => parse(name.slice(prefix.length))[0]);
}

function longest(examples: readonly (readonly ResponseVectors[])[]): number {
  return Math.max(1, ...examples.flat().map(({ policyLogp }) => policyLogp!.length));
}

function ofNames<Item>(names: readonly string[], make: (name: string) => Item): Record<string, Item> {
  return Object.fromEntries(names.map((name) => [name, make(name)]));
}

function key(name: string, index: number): string {
  return `${name} ${index}`;
}

function parse(key: string): [name: string, index: number] {
  const at = key.lastIndexOf(" ");
  return [key.slice(0, at), Number(key.slice(at + 1))];
}

function stateKey(name: string): string {
  return `state ${name}`;
}
