import type { ObjectiveOptions } from "../objectives/index.ts";
import { oneLine } from "../one-line.ts";
import type { Evaluation } from "./evaluate.ts";

/** The metrics in the order of the table, with their names and digits behind the point. */
const rows: readonly (readonly [metric: string, label: string, digits: number])[] = [
  ["loss", "loss", 4],
  ["rewards/accuracies", "reward accuracy", 4],
  ["rewards/ties", "  ties", 0],
  ["rewards/margins", "  margin", 4],
  ["rewards/chosen", "  chosen", 4],
  ["rewards/rejected", "  rejected", 4],
  ["plain_rewards/accuracies", "plain reward accuracy", 4],
  ["plain_rewards/ties", "  ties", 0],
  ["plain_rewards/margins", "  margin", 4],
  ["log_ratios/accuracies", "log-ratio accuracy", 4],
  ["log_ratios/margins", "  margin", 4],
  ["weights/chosen", "mean weight, chosen", 3],
  ["weights/rejected", "  rejected", 3],
  ["seq_kl/chosen", "sequential KL, chosen", 3],
  ["seq_kl/rejected", "  rejected", 3],
  ["seq_kl/margins", "  margin", 3],
  ["logps", "log-probability", 2],
  ["logps/accuracies", "log-probability accuracy", 4],
  ["logps/ties", "  ties", 0],
  ["logps/chosen", "  chosen", 2],
  ["logps/rejected", "  rejected", 2],
  ["ref_logps/chosen", "  chosen, reference", 2],
  ["ref_logps/rejected", "  rejected, reference", 2],
  ["logps_per_token/accuracies", "  accuracy per token", 4],
  ["tokens_per_response", "tokens", 1],
  ["tokens/chosen", "tokens, chosen", 1],
  ["tokens/rejected", "  rejected", 1],
  ["samples/entropy", "entropy of samples", 4],
  ["samples/seq_kl", "sequential KL of samples", 3],
  ["samples/distinct_1", "distinct-1", 4],
  ["samples/distinct_2", "distinct-2", 4],
  ["samples/tokens", "tokens of a sample", 1],
  ["samples/ended", "samples that ended", 3],
];

const missing = "–";

/**
 * Evaluations side by side: a line for each figure, a column for each model, right-aligned. Figures
 * that no model has are left out.
 *
 * @param bold styles the names of the models
 */
export function formatTable(evaluations: readonly Evaluation[], bold: (text: string) => string = String): string {
  const present = rows.filter(([metric]) => evaluations.some(({ metrics }) => metric in metrics));
  const lines = [
    ["", ...evaluations.map(({ model }) => oneLine(model))],
    ["objective", ...evaluations.map(({ objective }) => describeObjective(objective))],
    ["reference", ...evaluations.map(({ reference }) => oneLine(reference ?? missing))],
    ["examples", ...evaluations.map(({ examples }) => String(examples))],
    ...present.map(([metric, label, digits]) => [
      label,
      ...evaluations.map(({ metrics }) => metrics[metric]?.toFixed(digits) ?? missing),
    ]),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const aligned = lines.map(([label, ...cells]) =>
    [label!.padEnd(widths[0]!), ...cells.map((cell, index) => cell.padStart(widths[index + 1]!))].join("  "),
  );
  return [bold(aligned[0]!), ...aligned.slice(1)].join("\n");
}

function describeObjective(options: ObjectiveOptions | null): string {
  if (!options) return missing;
  const { name, ...settings } = options;
  return [name, ...Object.entries(settings).flatMap(([key, value]) => (value ? [`${key} ${value}`] : []))].join(" ");
}
