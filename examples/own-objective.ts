/** Trains with an objective of one's own: `npx tsx examples/own-objective.ts`. */
import { train } from "tokenwise";
import { constant, square, subtract } from "tokenwise/graph";
import { logRatio, pairObjective } from "tokenwise/objectives";
import { z } from "zod";

/** The margin of log-ratios should be `target` nats: `(Σρ_w − Σρ_l − target)²`. */
const targetMargin = pairObjective({
  name: "target-margin",
  summary: "the margin of log-ratios is pulled to a target",
  options: { target: z.number().default(5) },
  loss: ({ target }, chosen, rejected) =>
    square(subtract(subtract(logRatio(chosen), logRatio(rejected)), constant(target))),
});

const result = await train(
  {
    model: "demo/model",
    output: "runs/own-objective",
    data: { train: "demo/pairs.jsonl", heldOut: 32, limit: 128 },
    objective: { name: "dpo" },
    learningRate: 3e-4,
    batchSize: 16,
    steps: 6,
  },
  { overwrite: true, objective: targetMargin.create({ target: 5 }) },
);
console.log(result.metrics.at(-1));
