import type { Metrics } from "./metrics.ts";

/** Steps averaged into one reading. */
const blockSteps = 10;
/** A single step this many times above the limit for ten is told at once. */
const atOnce = 10;
/** Mean losses over a few steps differ by less than this share of their scale by chance. */
const noise = 0.25;

/** The figures that a run began with, where an earlier part of it is on record. */
export interface Beginning {
  /** The training loss before the first step. */
  readonly loss?: number | undefined;
  /** The evaluation before the first step. */
  readonly evaluation?: Metrics | undefined;
}

/**
 * Watches whether training makes the model worse: while it goes on, by a loss that leaves the range
 * of its objective; in the end, by comparing with the start.
 *
 * The range comes from the loss of indifference: that of a policy that equals its reference or,
 * without one, guesses uniformly. It is ln 2 for DPO, 1/(2β)² for IPO, the logarithm of the
 * vocabulary for a mean over tokens. Where it is about 0, as for a difference of two answers'
 * scores, the range comes from how far the first step's losses lie apart.
 */
export class DivergenceWatch {
  readonly #hasReference: boolean;
  #start: number | undefined;
  #scale = 0;
  #indifference = 0;
  #best = Number.POSITIVE_INFINITY;
  #recent: number[] = [];
  #steps = 0;
  #warned = false;
  #before: Metrics | undefined;
  #after: Metrics | undefined;

  /** @param hasReference whether the loss compares with a reference */
  constructor(hasReference: boolean, { loss, evaluation }: Beginning = {}) {
    this.#hasReference = hasReference;
    this.#start = loss;
    this.#before = evaluation;
  }

  /**
   * Takes the loss of a step; returns a warning once, when losses are out of range.
   *
   * @param indifference the loss of indifference on the step's examples, asked for in the first
   * step
   * @param spread how far the losses of the step's examples lie apart
   */
  observe(loss: number, indifference: () => number, spread = 0): string | undefined {
    if (this.#steps === 0) {
      this.#start ??= loss;
      this.#indifference = indifference();
      this.#scale = Math.max(Math.abs(this.#indifference), spread) || Math.abs(this.#start);
    }
    this.#steps++;
    this.#recent = [...this.#recent, loss].slice(-blockSteps);
    const reading = this.#reading();
    const full = this.#recent.length === blockSteps;
    const limit = this.#limit();
    const sudden = loss - limit > atOnce * this.#scale;
    const told = sudden ? loss : reading;
    const out = sudden || (full && reading > limit);
    if (full) this.#best = Math.min(this.#best, reading);
    if (!out || !(this.#scale > 0) || this.#warned) return undefined;
    this.#warned = true;
    const indifferent = this.#hasReference ? "a model that equals its reference" : "a uniform guess";
    return (
      `the training is diverging: the loss is ${figure(told)} ${sudden ? "in one step" : `over ${blockSteps} steps`}, ` +
      `${figure(this.#start!)} at the start, and ${figure(this.#indifference)} for ${indifferent}; ${advice}`
    );
  }

  /** Takes the metrics of an evaluation of held-out examples after `step` steps. */
  evaluated(step: number, metrics: Metrics): void {
    if (step === 0) this.#before = metrics;
    else this.#after = metrics;
  }

  /** The warning at the end of a run whose model is worse than the one that it began with. */
  atEnd(): string | undefined {
    const [before, after] = [this.#before, this.#after];
    if (before && after) {
      const key = "plain_rewards/accuracies" in after ? "plain_rewards/accuracies" : "rewards/accuracies";
      const rose = after.loss! - before.loss! > 0.01 * Math.max(Math.abs(before.loss!), this.#scale);
      const lessAccurate = after[key] !== undefined && after[key] < before[key]!;
      if (!rose && !lessAccurate) return undefined;
      const changes = [
        ...(rose ? [`loss ${figure(before.loss!)} to ${figure(after.loss!)}`] : []),
        ...(lessAccurate ? [`accuracy ${figure(before[key]!)} to ${figure(after[key]!)}`] : []),
      ];
      return `the trained model is worse than the start on the held-out examples (${changes.join(", ")}); ${advice}`;
    }
    if (this.#steps < 2 || !(this.#reading() - this.#start! > noise * this.#scale)) return undefined;
    const change = `${figure(this.#start!)} to ${figure(this.#reading())}`;
    return `the trained model is worse than the start on its training data (loss ${change}); ${advice}`;
  }

  /** The mean of the last steps, without the first one, which says how the run began. */
  #reading(): number {
    const steps = this.#steps <= blockSteps ? this.#recent.slice(1) : this.#recent;
    return steps.reduce((sum, loss) => sum + loss, 0) / steps.length;
  }

  /**
   * Beside a reference, pairs at twice the loss of indifference are ranked wrong. Without one,
   * losses of steps lie close together and below a uniform guess, so half its height above the best
   * ones is far.
   */
  #limit(): number {
    if (this.#hasReference) return Math.max(this.#start!, this.#indifference) + this.#scale;
    return Math.min(this.#start!, this.#best) + this.#scale / 2;
  }
}

const advice = "try a lower `learningRate` or a longer warm-up";

function figure(value: number): string {
  return String(Number(value.toPrecision(4)));
}
