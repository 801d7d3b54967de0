import { oneLine } from "../../one-line.ts";
import type { ProgressState } from "../../report.ts";
import { formatSeconds } from "./seconds.ts";

/** Work of fewer seconds shows no progress. */
const patience = 2;
/** Seconds between lines where there is no terminal to redraw one in. */
const lineInterval = 10;

/**
 * Progress of counted work: a line that is redrawn in a terminal, now and then a new one elsewhere.
 */
export interface CountedProgress {
  update(done: number): void;
  /** Takes the line away, so that something else can be printed. */
  clear(): void;
}

/** @param options.already what was done before the clock starts */
export function countedProgress(
  what: string,
  total: number,
  { already = 0, out = process.stderr }: { already?: number; out?: NodeJS.WriteStream } = {},
): CountedProgress {
  const start = performance.now();
  let next = patience;
  return {
    update(done) {
      const elapsed = (performance.now() - start) / 1000;
      if (elapsed < next) return;
      const fresh = done - already;
      const left = fresh > 0 && done < total ? `, ${formatSeconds((elapsed / fresh) * (total - done))} left` : "";
      const text = `${oneLine(what)}: ${done}/${total}${left}`;
      if (out.isTTY) out.write(`\r\x1b[K${text}`);
      else {
        out.write(`${text}\n`);
        next = elapsed + lineInterval;
      }
    },
    clear() {
      if (out.isTTY) out.write("\r\x1b[K");
    },
  };
}

/**
 * Progress of activities one after another, each counted from its first report on and cleared when
 * it is done.
 */
export function activityProgress(out: NodeJS.WriteStream = process.stderr): {
  update(state: ProgressState): void;
  clear(): void;
} {
  let current: { activity: string; counted: CountedProgress } | undefined;
  return {
    update({ activity, done, total }) {
      if (current?.activity !== activity)
        current = { activity, counted: countedProgress(activity, total, { already: done, out }) };
      current.counted.update(done);
      if (done >= total) current.counted.clear();
    },
    clear: () => current?.counted.clear(),
  };
}
