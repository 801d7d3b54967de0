/** The change of a figure over the same subjects. */
export interface Difference {
  readonly before: number;
  readonly after: number;
  /** `after - before`. */
  readonly difference: number;
  /** Of the difference, from its spread over the subjects. */
  readonly standardError: number;
}

/**
 * Means before and after, and the standard error of their difference: the subjects are the same, so
 * it comes from the spread of each subject's own difference (paired samples).
 *
 * @param before one value per subject, at least two
 * @param after the same subjects in the same order
 */
export function pairedDifference(before: readonly number[], after: readonly number[]): Difference {
  const differences = before.map((value, index) => after[index]! - value);
  const difference = mean(differences);
  const variance = differences.reduce((sum, value) => sum + (value - difference) ** 2, 0) / (differences.length - 1);
  return {
    before: mean(before),
    after: mean(after),
    difference,
    standardError: Math.sqrt(variance / differences.length),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
