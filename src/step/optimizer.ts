import { type Engine, type Executable, type FloatValue, rows, upload } from "../engine/engine.ts";
import { add, constant, divide, multiply, scale, sqrt, square, subtract } from "../graph/ops/elementwise.ts";
import { sum } from "../graph/ops/reduce.ts";
import { defineProgram, type Program } from "../graph/program.ts";
import { elementCount, input, type Tensor } from "../graph/tensor.ts";
import type { Parameters } from "../models/parameters.ts";

export interface AdamWOptions {
  name: "adamw";
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  /** Decoupled weight decay, applied to matrices only, as Hugging Face's trainer does. */
  weightDecay?: number;
}

export interface RmsPropOptions {
  name: "rmsprop";
  /** Smoothing constant of the mean square, called alpha by PyTorch. */
  decay?: number;
  epsilon?: number;
  weightDecay?: number;
}

export type OptimizerOptions = AdamWOptions | RmsPropOptions;

/** Elements that one run updates: what it touches then stays in the processor's cache. */
const sliceElements = 1 << 18;

/**
 * An update rule: the states it keeps for each weight, and the new weight and states as graph
 * nodes.
 */
interface UpdateRule {
  readonly states: readonly string[];
  readonly weightDecay: number;
  /**
   * @param values weight, gradient (already scaled) and states [n]; `rate` is the learning rate,
   * `firstCorrection` and `secondCorrection` are Adam's 1 / (1 - βᵗ).
   */
  update(values: Record<string, Tensor>, decay: number): Record<string, Tensor>;
  corrections(step: number): [number, number];
}

/** AdamW (Loshchilov & Hutter 2019), as PyTorch computes it. */
function adamw({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamWOptions): UpdateRule {
  return {
    states: ["mean", "variance"],
    weightDecay,
    update(v, decay) {
      const mean = add(scale(v.mean!, beta1), scale(v.gradient!, 1 - beta1));
      const variance = add(scale(v.variance!, beta2), scale(square(v.gradient!), 1 - beta2));
      const deviation = add(sqrt(multiply(variance, v.secondCorrection!)), constant(epsilon));
      const direction = divide(multiply(mean, v.firstCorrection!), deviation);
      return { weight: moved(v, direction, decay), mean, variance };
    },
    corrections: (step) => [1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)],
  };
}

/**
 * RMSprop as PyTorch computes it: no momentum, epsilon outside the root; weight decay decoupled, as
 * in AdamW.
 */
function rmsprop({ decay: smoothing = 0.99, epsilon = 1e-8, weightDecay = 0 }: RmsPropOptions): UpdateRule {
  return {
    states: ["meanSquare"],
    weightDecay,
    update(v, decay) {
      const meanSquare = add(scale(v.meanSquare!, smoothing), scale(square(v.gradient!), 1 - smoothing));
      const direction = divide(v.gradient!, add(sqrt(meanSquare), constant(epsilon)));
      return { weight: moved(v, direction, decay), meanSquare };
    },
    corrections: () => [1, 1],
  };
}

/** `weight - rate * (direction + decay * weight)`. */
function moved(v: Record<string, Tensor>, direction: Tensor, decay: number): Tensor {
  const step = decay === 0 ? direction : add(direction, scale(v.weight!, decay));
  return subtract(v.weight!, multiply(v.rate!, step));
}

function ruleOf(options: OptimizerOptions): UpdateRule {
  return options.name === "adamw" ? adamw(options) : rmsprop(options);
}

/** Numbers that an optimizer keeps for each number that trains. */
export function statesPerParameter(options: OptimizerOptions): number {
  return ruleOf(options).states.length;
}

/** Updates weights in place from gradients, with state that a checkpoint can hold. */
export class Optimizer {
  /** State arrays by `<state>.<parameter>`. */
  readonly state: Map<string, FloatValue>;
  /** Updates done so far. */
  step = 0;
  readonly #engine: Engine;
  readonly #rule: UpdateRule;
  readonly #parameters: Parameters;
  readonly #programs: { matrix: Executable; vector: Executable; sumOfSquares: Executable };

  constructor(engine: Engine, options: OptimizerOptions, parameters: Parameters) {
    this.#engine = engine;
    this.#rule = ruleOf(options);
    this.#parameters = parameters;
    this.#programs = {
      matrix: engine.compile(updateProgram(this.#rule, this.#rule.weightDecay)),
      vector: engine.compile(updateProgram(this.#rule, 0)),
      sumOfSquares: engine.compile(sumOfSquaresProgram()),
    };
    this.state = new Map(
      [...parameters].flatMap(([name, { shape }]) =>
        this.#rule.states.map((state) => [`${state}.${name}`, engine.zeros(shape)]),
      ),
    );
  }

  /** The Euclidean norm of all gradients together. */
  async gradientNorm(gradients: Parameters): Promise<number> {
    const result = this.#engine.allocate([1]);
    let total = 0;
    for (const gradient of gradients.values()) {
      for (const slice of slices([gradient])) {
        await this.#programs.sumOfSquares.run({ x: slice[0]! }, { total: result });
        total += (await this.#engine.read(result))[0]!;
      }
    }
    this.#engine.release(result);
    return Math.sqrt(total);
  }

  /**
   * One update.
   *
   * @param options.gradientScale factor on every gradient, for clipping
   */
  async update(gradients: Parameters, options: { learningRate: number; gradientScale: number }): Promise<void> {
    this.step++;
    const [firstCorrection, secondCorrection] = this.#rule.corrections(this.step);
    const scalars = Object.fromEntries(
      Object.entries({
        rate: options.learningRate,
        gradientScale: options.gradientScale,
        firstCorrection,
        secondCorrection,
      }).map(([name, value]) => [name, upload(this.#engine, [], [value])]),
    );
    for (const [name, weight] of this.#parameters) {
      const program = weight.shape.length > 1 ? this.#programs.matrix : this.#programs.vector;
      const states = this.#rule.states.map((state) => this.state.get(`${state}.${name}`)!);
      for (const [w, gradient, ...state] of slices([weight, gradients.get(name)!, ...states])) {
        const inPlace = Object.fromEntries([
          ["weight", w!],
          ...this.#rule.states.map((key, index) => [key, state[index]!]),
        ]);
        await program.run({ ...inPlace, gradient: gradient!, ...scalars }, inPlace);
      }
    }
    for (const value of Object.values(scalars)) this.#engine.release(value);
  }
}

/** Arrays of equal length cut into corresponding flat slices. */
function* slices(values: readonly FloatValue[]): Generator<FloatValue[]> {
  const length = elementCount(values[0]!.shape);
  const flat = values.map(({ data }) => ({ shape: [length], data }));
  for (let start = 0; start < length; start += sliceElements) {
    const end = Math.min(start + sliceElements, length);
    yield flat.map((value) => rows(value, start, end));
  }
}

function updateProgram(rule: UpdateRule, decay: number): Program {
  const vectors = Object.fromEntries(["weight", "gradient", ...rule.states].map((name) => [name, input(["n"])]));
  const scalars = Object.fromEntries(
    ["rate", "gradientScale", "firstCorrection", "secondCorrection"].map((name) => [name, input([])]),
  );
  const gradient = multiply(vectors.gradient!, scalars.gradientScale!);
  const results = rule.update({ ...vectors, ...scalars, gradient }, decay);
  return defineProgram("optimizer update", { ...vectors, ...scalars }, results);
}

function sumOfSquaresProgram(): Program {
  const x = input(["n"]);
  return defineProgram("sum of squares", { x }, { total: sum(square(x), [0], { keepDimensions: true }) });
}
