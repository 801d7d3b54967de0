import { gradients } from "../graph/gradient.ts";
import { interpret } from "../graph/interpreter.ts";
import { defineProgram, type Program } from "../graph/program.ts";
import { input, type Tensor, type Value } from "../graph/tensor.ts";
import type { Objective, ResponseStatistics } from "../objectives/objective.ts";

/** Statistics that an objective can have a gradient for, or use as constants; all but the weight come from the models. */
const statisticNames = ["policyLogp", "referenceLogp", "klReferencePolicy", "klPolicyReference", "weight"] as const;
export type StatisticName = (typeof statisticNames)[number];

/** Per-token statistics of one response of one example, in order of its tokens. */
export type ResponseVectors = Partial<Record<StatisticName, Float64Array>>;

/** What an objective says of one example. */
export interface ExampleOutcome {
  readonly loss: number;
  readonly rewards: readonly [chosen: number, rejected: number] | undefined;
  /** For each response, the gradient of the loss for each statistic that it depends on. */
  readonly gradients: readonly ResponseVectors[];
}

/**
 * Evaluates an objective and its gradient on per-token statistics, in float64: the vectors are short, so exactness is free.
 */
export class ObjectiveEvaluator {
  readonly #program: Program;
  readonly #objective: Objective;

  /** @param available the statistics that every response comes with */
  constructor(objective: Objective, available: readonly StatisticName[]) {
    this.#objective = objective;
    const responses = Array.from({ length: objective.responses }, () =>
      Object.fromEntries(available.map((name) => [name, input(["examples", "length"])])),
    ) as unknown as ResponseStatistics[];
    const { losses, rewards } = objective.evaluate(responses);
    const inputs = Object.fromEntries(
      responses.flatMap((response, side) =>
        Object.entries(response).map(([name, tensor]) => [key(name, side), tensor as Tensor]),
      ),
    );
    const ones = input(["examples"]);
    const derivatives = gradients([[losses, ones]], Object.values(inputs));
    const outputs: Record<string, Tensor> = { losses };
    rewards?.forEach((reward, side) => {
      outputs[key("reward", side)] = reward;
    });
    Object.keys(inputs).forEach((name, index) => {
      const derivative = derivatives[index];
      if (derivative && !isConstant(name)) outputs[`gradient of ${name}`] = derivative;
    });
    this.#program = defineProgram(`objective ${objective.name}`, { ...inputs, ones }, outputs);
  }

  /** @param examples for each example the vectors of its responses (chosen, then rejected) */
  evaluate(examples: readonly (readonly ResponseVectors[])[]): ExampleOutcome[] {
    const { name: objective, responses: wanted } = this.#objective;
    const other = examples.find(({ length }) => length !== wanted);
    if (other) throw new Error(`${objective} takes ${wanted} responses per example, not ${other.length}`);
    const length = Math.max(1, ...examples.flat().map(({ policyLogp }) => policyLogp!.length));
    const inputs: Record<string, Value> = {
      ones: { shape: [examples.length], data: new Float64Array(examples.length).fill(1) },
    };
    for (const name of statisticNames) {
      for (let side = 0; side < this.#objective.responses; side++) {
        if (!this.#program.inputs.has(key(name, side))) continue;
        const data = new Float64Array(examples.length * length);
        examples.forEach((responses, example) => {
          data.set(responses[side]![name]!, example * length);
        });
        inputs[key(name, side)] = { shape: [examples.length, length], data };
      }
    }
    const results = interpret(this.#program, inputs);
    return examples.map((responses, example) => ({
      loss: results.losses!.data[example]!,
      rewards: results[key("reward", 0)] && [
        results[key("reward", 0)]!.data[example]!,
        results[key("reward", 1)]!.data[example]!,
      ],
      gradients: responses.map(({ policyLogp }, side) =>
        Object.fromEntries(
          statisticNames.flatMap((name) => {
            const gradient = results[`gradient of ${key(name, side)}`];
            const start = example * length;
            return gradient ? [[name, (gradient.data as Float64Array).slice(start, start + policyLogp!.length)]] : [];
          }),
        ),
      ),
    }));
  }
}

/** What the policy's weights have no part in. */
function isConstant(name: string): boolean {
  return name.startsWith("referenceLogp") || name.startsWith("weight");
}

function key(name: string, side: number): string {
  return `${name} ${side}`;
}
