import { readFileSync } from "node:fs";

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

/**
 * Watches this process's memory without the pages of mapped files, where the system tells it
 * (Linux).
 */
export function watchAnonymousMemory(): { peakMiB(): number | undefined; stop(): void } {
  let peak: number | undefined;
  const look = () => {
    try {
      const kibibytes = /RssAnon:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
      if (kibibytes) peak = Math.max(peak ?? 0, Math.round(Number(kibibytes) / 1024));
    } catch {
      // Another system: there is nothing to tell.
    }
  };
  const timer = setInterval(look, 10);
  return {
    peakMiB: () => {
      look();
      return peak;
    },
    stop: () => clearInterval(timer),
  };
}
