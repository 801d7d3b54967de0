import type { Tensor } from "../graph/tensor.ts";
import type { StatisticUses, VocabularyStatistic } from "./statistics.ts";

/**
 * One answer of each example, as a loss sees it. Arrays over tokens are [examples, length] and zero
 * behind the end of an answer; what the objective did not declare is missing.
 */
export interface Answer extends Readonly<Partial<Record<VocabularyStatistic, Tensor>>> {
  /** log π(y_t | x, y_<t) under the policy. */
  readonly policyLogp: Tensor;
  /** The same under the reference. */
  readonly referenceLogp?: Tensor;
  /** ρ_t = log π(y_t) − log π_ref(y_t); without a reference log π(y_t). */
  readonly ratio: Tensor;
  /** 1 for the tokens of the answer. */
  readonly mask: Tensor;
  /** 1, 2, 3 … for the tokens of the answer. */
  readonly position: Tensor;
  /** w_t: how much a token counts in every sum; 1 if missing. Token rules set it. */
  readonly weight?: Tensor;
  /** What a mean over tokens divides by, [examples]; the length if missing. Token rules set it. */
  readonly count?: Tensor;
  /** Constants from outside, one for each token. */
  readonly given: Readonly<Record<string, Tensor>>;
  /** A number in [0, 1) for each token, drawn from the run's seed anew in every step. */
  readonly random?: Tensor;
}

/** What a loss sees besides the answers. */
export interface Context {
  /** Constants from outside, one for each example: [examples]. */
  readonly given: Readonly<Record<string, Tensor>>;
  /** The objective's own numbers, each a scalar, already updated with the examples of this step. */
  readonly state: Readonly<Record<string, Tensor>>;
}

/** What an objective must be given. */
export interface Needs {
  /** Whether the reference is part of the loss, of the logged rewards only, or of nothing. */
  readonly reference: "loss" | "rewards" | "none";
  /** What is computed over the whole vocabulary. */
  readonly statistics: StatisticUses;
  /**
   * Constants that the examples must bring, by name: one for each token, or one for each example.
   */
  readonly given: Readonly<Record<string, "token" | "example">>;
  /** Whether it is made for importance weights. The other pair objectives take them too. */
  readonly weights: "required" | "possible";
  /** Whether it draws numbers. */
  readonly random: boolean;
  /**
   * `step`: the loss of one example depends on the others, so all examples of a step are evaluated
   * together.
   */
  readonly scope: "example" | "step";
}

/** One loss of an objective: the step minimises Σ weight · mean. */
export interface Term {
  readonly weight: number;
  /**
   * What the loss is a mean over: all examples of the step, or all tokens of the responses listed.
   */
  readonly mean: "examples" | "tokens";
  /** Indices of the responses whose tokens are counted. */
  readonly responses: readonly number[];
}

/**
 * A loss over per-token statistics. It declares what it needs, and nothing else asks which
 * objective is running.
 */
export interface Objective extends Needs {
  readonly name: string;
  /** 2: chosen and rejected; 1: one answer. */
  readonly responses: 1 | 2;
  readonly terms: readonly Term[];
  /** The loss of each example, [examples], one for each of `terms`. */
  losses(answers: readonly Answer[], context: Context): readonly Tensor[];
  /** The implicit rewards that the published code logs, [examples], one for each answer. */
  rewards?(answers: readonly Answer[]): readonly Tensor[];
  /**
   * β Σρ without weights, [examples]: comparable among objectives. Only with a reference; missing
   * where the objective has no β.
   */
  plainRewards?(answers: readonly Answer[]): readonly Tensor[];
  /** Numbers that live from step to step and are kept in checkpoints, as a run begins with them. */
  readonly initialState: Readonly<Record<string, number>>;
  /**
   * The state after a step, as a function of the state before and the step's examples. No gradient
   * flows through it.
   */
  updateState?(answers: readonly Answer[], before: Context): Readonly<Record<string, Tensor>>;
}
