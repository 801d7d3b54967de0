/** The gradient of a whole model against finite differences, in float64. */
import { describe, expect, test } from "vitest";
import { packBatch } from "../src/data/batch.ts";
import { float64Engine } from "../src/engine/float64.ts";
import { architectureOf } from "../src/families/registry.ts";
import { scale, sigmoid } from "../src/graph/ops/elementwise.ts";
import type { Tensor } from "../src/graph/tensor.ts";
import type { Architecture } from "../src/models/architecture.ts";
import { Transformer } from "../src/models/transformer.ts";
import { createObjective, type ObjectiveOptions } from "../src/objectives/index.ts";
import { Random } from "../src/random.ts";
import { Learner } from "../src/step/learner.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "../src/step/objective-evaluator.ts";
import {
  pairObjectives,
  randomExamples,
  tinyConfiguration,
  tinyFamilies,
  tinyModel,
  zeroGradients,
} from "./helpers/tiny.ts";

const engine = float64Engine();
const configuration = tinyConfiguration({ attention_bias: true, mlp_bias: true, tie_word_embeddings: true });
const batch = packBatch(
  randomExamples(3, [
    [3, 4, 2],
    [2, 1, 3],
  ]),
);

/**
 * Gradients, and the loss as a function of the weights in which the chosen answers' KL keeps its
 * first value if `holdChosenKl`.
 */
async function setUp(
  options: ObjectiveOptions,
  {
    holdChosenKl,
    architecture = architectureOf(configuration),
  }: { holdChosenKl: boolean; architecture?: Architecture },
) {
  const transformer = new Transformer(engine, architecture);
  const policy = tinyModel(engine, architecture.configuration, 5, transformer);
  const reference = tinyModel(engine, architecture.configuration, 6, transformer);
  const objective = createObjective(options);
  const learner = new Learner({ engine, policy, reference, objective });
  const gradients = zeroGradients(engine, policy);
  const first = await learner.accumulate(batch, 1, gradients);
  const evaluator = new ObjectiveEvaluator(objective, ["policyLogp", "referenceLogp", "klReferencePolicy"]);
  const loss = async () => {
    const scored = await learner.evaluate(batch);
    const held = scored.map(({ responses: [chosen, rejected] }, index): ResponseVectors[] => [
      { ...chosen, ...(holdChosenKl && { klReferencePolicy: first[index]!.responses[0]!.klReferencePolicy! }) },
      rejected!,
    ]);
    return evaluator.evaluate(held).reduce((sum, { loss }) => sum + loss, 0);
  };
  return { policy, gradients, loss };
}

/**
 * The largest error of a handful of derivatives of each parameter, relative to the parameter's
 * largest derivative.
 */
async function worstDerivative({ policy, gradients, loss }: Awaited<ReturnType<typeof setUp>>) {
  const random = Random.from(1, "weights");
  let worst = { name: "", error: 0 };
  for (const [name, { data }] of policy.parameters) {
    const gradient = gradients.get(name)!.data;
    const largest = Math.max(...gradient.map(Math.abs));
    for (let count = 0; count < 4; count++) {
      const index = random.integer(data.length);
      const [weight, step] = [data[index]!, 1e-5];
      data[index] = weight + step;
      const above = await loss();
      data[index] = weight - step;
      const below = await loss();
      data[index] = weight;
      const error = Math.abs((above - below) / (2 * step) - gradient[index]!) / largest;
      if (!(error <= worst.error)) worst = { name, error };
    }
  }
  return worst;
}

describe("finite differences", () => {
  test.each([pairObjectives[4], pairObjectives[0]])("agree for %o", async (options) => {
    const { name, error } = await worstDerivative(await setUp(options, { holdChosenKl: false }));
    expect(error, name).toBeLessThan(1e-7);
  });

  test("agree where embeddings are scaled, positions learned, the head has a bias, and logits are capped", async () => {
    const architecture = {
      ...architectureOf(tinyConfiguration(tinyFamilies.gpt2)),
      embeddingScale: 3,
      headBias: "lm_head.bias",
      finishLogits: (product: Tensor) => scale(sigmoid(product), 4),
    };
    const { name, error } = await worstDerivative(
      await setUp(pairObjectives[4], { holdChosenKl: false, architecture }),
    );
    expect(error, name).toBeLessThan(1e-7);
  });

  test("agree for TDPO2 while the chosen answer's KL is held", async () => {
    const { name, error } = await worstDerivative(await setUp(pairObjectives[5], { holdChosenKl: true }));
    expect(error, name).toBeLessThan(1e-7);
  });

  test("differ for TDPO2 when the chosen answer's KL moves, because its gradient is stopped", async () => {
    const { error } = await worstDerivative(await setUp(pairObjectives[5], { holdChosenKl: false }));
    expect(error).toBeGreaterThan(0.01);
  });
});
