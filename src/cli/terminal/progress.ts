import type { MetricsRecord, Reporter } from "../../report.ts";
import { colorsFor } from "./colors.ts";
import { activityProgress } from "./counted-progress.ts";
import { formatSeconds } from "./seconds.ts";
import { shownMessage } from "./shown-text.ts";

/** Seconds between plain lines, where there is no terminal to redraw a line in. */
const plainInterval = 2;

type Shown = readonly (readonly [metric: string, label: string, digits: number])[];

const rewards: Shown = [
  ["rewards/accuracies", "accuracy", 3],
  ["rewards/margins", "margin", 3],
  ["plain_rewards/accuracies", "plain accuracy", 3],
];
/**
 * Weights know which answer is the chosen one, so what they weigh comes last and under its own
 * name.
 */
const weightedRewards: Shown = [
  ["plain_rewards/accuracies", "accuracy", 3],
  ["plain_rewards/margins", "margin", 3],
  ["rewards/accuracies", "weighted accuracy", 3],
];
/** The metrics worth a place on a line, with their short names. */
const shown = (weighted: boolean): Shown => [
  ["loss", "loss", 4],
  ...(weighted ? weightedRewards : rewards),
  ["seq_kl/chosen", "KL chosen", 2],
  ["seq_kl/rejected", "KL rejected", 2],
  ["logps/chosen", "logp chosen", 1],
  ["logps", "logp", 1],
  ["grad_norm", "gradient", 2],
  ["examples_per_second", "examples/s", 1],
];

/** Activities with a bar of their own; others are counted. */
const barred = new Set(["train", "evaluation", "reference"]);

/** Shows a run: a live line in a terminal, plain lines when piped. */
export function progressReporter(out: NodeJS.WriteStream = process.stderr): Reporter {
  const live = out.isTTY;
  const colors = colorsFor(out);
  let lastPlain = Number.NEGATIVE_INFINITY;
  let recent = "";
  let unseen = false;
  const counted = activityProgress(out);
  const clear = () => live && out.write("\r\x1b[K");
  const line = (text: string) => {
    clear();
    out.write(`${text}\n`);
  };
  return {
    note: (message) => line(shownMessage(message)),
    warn: (message) => line(colors.yellow(`warning: ${shownMessage(message)}`)),
    record(record) {
      if (record.split === "evaluation") {
        const head = `evaluation at step ${record.step}: `;
        const room = live ? (out.columns || 80) - head.length : undefined;
        return line(colors.bold(`${head}${describe(record, room)}`));
      }
      recent = describe(record);
      const now = performance.now() / 1000;
      unseen = now - lastPlain < plainInterval;
      if (live || unseen) return;
      lastPlain = now;
      line(`step ${record.step}: ${recent}`);
    },
    progress(state) {
      const { activity, done, total, secondsLeft } = state;
      if (!barred.has(activity)) return counted.update(state);
      if (!live) {
        if (activity === "train" && done >= total && unseen) line(`step ${done}: ${recent}`);
        return;
      }
      const left = secondsLeft === undefined ? "" : ` ${formatSeconds(secondsLeft)} left`;
      const text = `${activity} ${bar(done / total)} ${done}/${total}${left}  ${activity === "train" ? recent : ""}`;
      clear();
      out.write(text.slice(0, Math.max(20, (out.columns || 80) - 1)));
      if (done >= total) clear();
    },
  };
}

/** The metrics of a record; where there is not enough room for all, without the last ones. */
function describe(record: MetricsRecord, room = Number.POSITIVE_INFINITY): string {
  const parts = shown("weights/chosen" in record)
    .filter(([metric]) => typeof record[metric] === "number")
    .map(([metric, label, digits]) => `${label} ${(record[metric] as number).toFixed(digits)}`);
  while (parts.length > 1 && parts.join("  ").length > room) parts.pop();
  return parts.join("  ");
}

function bar(fraction: number): string {
  const width = 20;
  const full = Math.round(fraction * width);
  return `[${"=".repeat(full)}${" ".repeat(width - full)}]`;
}
