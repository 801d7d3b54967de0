/** Trains the demo's model from a plain object: `npx tsx examples/train-from-object.ts`. */
import { train } from "tokenwise";

const result = await train(
  {
    model: "demo/model",
    output: "runs/example",
    data: { train: "demo/pairs.jsonl", heldOut: 32, limit: 128 },
    objective: { name: "tdpo2", beta: 0.1, alpha: 0.5 },
    learningRate: 3e-4,
    batchSize: 16,
    steps: 6,
  },
  {
    overwrite: true,
    onStep: ({ step, loss }) => console.log(`step ${step}: loss ${Number(loss).toFixed(4)}`),
    onEvaluation: (metrics) => console.log(`held-out accuracy ${metrics["rewards/accuracies"]}`),
  },
);
console.log(`model: ${result.model}`);
