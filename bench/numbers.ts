/** The middle one, the upper of two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** A number with four significant digits, for reports. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** Seconds that some work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** The peak of this process's resident memory. */
export function peakRssMiB(): number {
  return Math.floor(process.resourceUsage().maxRSS / 1024);
}
