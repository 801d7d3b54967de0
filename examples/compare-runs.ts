/** Trains two objectives on the same data and compares them: `npx tsx examples/compare-runs.ts`. */
import { evaluate, train } from "tokenwise";

const models: string[] = [];
for (const name of ["dpo", "tdpo2"] as const) {
  const settings = {
    model: "demo/model",
    output: `runs/compare-${name}`,
    data: { train: "demo/pairs.jsonl", heldOut: 32, limit: 128 },
    objective: { name },
    learningRate: 3e-4,
    batchSize: 16,
    steps: 6,
  };
  const { model } = await train(settings, { overwrite: true });
  models.push(model!);
}
const reference = "demo/model";
for (const { model, metrics } of await evaluate({ models, reference, data: ["demo/held-out.jsonl"], examples: 32 })) {
  console.log(`${model}: accuracy ${metrics["rewards/accuracies"]}, KL ${metrics["seq_kl/chosen"]}`);
}
