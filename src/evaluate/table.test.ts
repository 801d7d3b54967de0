import { expect, test } from "vitest";
import type { Evaluation } from "./evaluate.ts";
import { formatTable } from "./table.ts";

const evaluations: Evaluation[] = [
  {
    model: "runs/tdpo2",
    objective: { name: "tdpo2", beta: 0.1, alpha: 0.5 },
    reference: "sft",
    examples: 40,
    metrics: { loss: 0.51, "rewards/accuracies": 0.98765, "rewards/ties": 1, "logps/chosen": -123.456, unknown: 1 },
  },
  { model: "m", objective: null, reference: null, examples: 40, metrics: { "logps/chosen": -7 } },
];

test("a line for each figure that there is, columns aligned", () => {
  expect(formatTable(evaluations).split("\n")).toEqual([
    "                               runs/tdpo2      m",
    "objective        tdpo2 beta 0.1 alpha 0.5      –",
    "reference                             sft      –",
    "examples                               40     40",
    "loss                               0.5100      –",
    "reward accuracy                    0.9877      –",
    "  ties                                  1      –",
    "  chosen                          -123.46  -7.00",
  ]);
});

test("only the names are bold, and only if asked", () => {
  const [first, ...others] = formatTable(evaluations, (text) => `<${text}>`).split("\n");
  expect(first).toMatch(/^<.*runs\/tdpo2.*>$/);
  expect(others.join()).not.toContain("<");
});
