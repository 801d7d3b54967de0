import type { DemoFigures } from "./demo.ts";

/** The figures that a working demo reaches. */
export const targets = { accuracy: 0.65, standardErrors: 2, seqKl: 10 } as const;

/** The targets that were missed, and by how much. */
export function missedTargets({ after, sentiment }: Pick<DemoFigures, "after" | "sentiment">): string[] {
  const { accuracy, standardErrors, seqKl } = targets;
  const rise = standardErrors * sentiment.standardError;
  // What is no number reaches nothing.
  return [
    !(after.accuracy >= accuracy) &&
      `accuracy on held-out pairs: ${brief((accuracy - after.accuracy) * 100)} points below ${brief(accuracy * 100)} %`,
    !(sentiment.difference > rise) &&
      `sentiment of fresh reviews: rose by ${brief(sentiment.difference)}, ${brief(rise - sentiment.difference)} short of ${standardErrors} standard errors`,
    !(after.seqKlChosen <= seqKl) && `sequential KL, chosen: ${brief(after.seqKlChosen - seqKl)} above ${seqKl}`,
    !(after.seqKlRejected <= seqKl) && `sequential KL, rejected: ${brief(after.seqKlRejected - seqKl)} above ${seqKl}`,
  ].filter((line) => line !== false);
}

function brief(value: number): string {
  return String(Number(value.toPrecision(2)));
}
