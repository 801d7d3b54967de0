export interface ScheduleOptions {
  /** Peak learning rate. */
  learningRate: number;
  /** Steps of linear warm-up. */
  warmupSteps?: number;
  /**
   * The rate after the warm-up: the peak kept, or a half cosine that reaches zero behind the last
   * step.
   */
  decay?: "constant" | "cosine";
}

/**
 * The learning rate of a step, counted from 0. The warm-up factor is
 * `min(1, (step + 1) / (warmup + 1))`, as in the published trainers.
 */
export function learningRateAt(step: number, totalSteps: number, options: ScheduleOptions): number {
  const { learningRate, warmupSteps = 0, decay = "constant" } = options;
  const warmup = Math.min(1, (step + 1) / (warmupSteps + 1));
  if (decay === "constant" || step < warmupSteps) return learningRate * warmup;
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  return learningRate * warmup * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)));
}
