import { describe, expect, test } from "vitest";
import { largestError } from "../../test/helpers/compare.ts";
import { engines } from "../../test/helpers/engines.ts";
import {
  example,
  pairObjectives,
  randomExamples,
  tinyConfiguration,
  tinyModel,
  zeroGradients,
} from "../../test/helpers/tiny.ts";
import { packBatch } from "../data/batch.ts";
import { createObjective, type ObjectiveOptions } from "../objectives/index.ts";
import { Learner } from "./learner.ts";

const [float64, float32] = engines;
const pairs = randomExamples(1, [
  [5, 7, 3],
  [4, 2, 9],
  [1, 1, 1],
]);
const batch = packBatch(pairs);

function models({ engine }: (typeof engines)[number], options: ObjectiveOptions) {
  const policy = tinyModel(engine, tinyConfiguration(), 1);
  const objective = createObjective(options);
  const reference = objective.reference === "none" ? undefined : tinyModel(engine, tinyConfiguration(), 2, policy);
  return { engine, policy, reference, objective };
}

describe("memory", () => {
  const texts = packBatch(pairs.map(({ prompt, responses }) => example([...prompt], [...responses[0]!])));
  const cases = [
    ...pairObjectives.map((options) => ({ options, used: batch })),
    { options: { name: "sft" } as const, used: texts },
  ];
  // Of some tiles the distributions are kept, of others not.
  const ways = [{ headSizes: { entries: 4, tile: 100, kept: 300 } }, { activationCheckpointing: true }, {}];
  test.each(cases.flatMap((one) => ways.map((how) => ({ ...one, how }))))(
    "everything is given back after each call, for $options with $how",
    async ({ options, used, how }) => {
      const { engine } = float32;
      const shared = models(float32, options);
      const learner = new Learner({ ...shared, ...how });
      const gradients = zeroGradients(engine, shared.policy);
      // The first call leaves the batch's tables, which stay until another batch comes.
      await learner.evaluate(used);
      const held = engine.allocatedBytes;
      for (let count = 0; count < 3; count++) {
        await learner.accumulate(used, 1, gradients);
        expect(engine.allocatedBytes).toBe(held);
        await learner.evaluate(used);
        expect(engine.allocatedBytes).toBe(held);
      }
      // Tables of other batches take the place of the first one's.
      await learner.accumulate(packBatch([used === texts ? example([3], [4]) : pairs[1]!]), 1, gradients);
      await learner.accumulate({ ...used }, 1, gradients);
      expect(engine.allocatedBytes).toBe(held);
    },
  );

  test("separate reference programs give everything back as well", async () => {
    const { engine } = float32;
    const policy = tinyModel(engine, tinyConfiguration(), 1);
    const reference = tinyModel(engine, tinyConfiguration({ hidden_size: 24, num_hidden_layers: 3 }), 2);
    const learner = new Learner({ engine, policy, reference, objective: createObjective(pairObjectives[5]) });
    const gradients = zeroGradients(engine, policy);
    await learner.accumulate(batch, 1, gradients);
    const held = engine.allocatedBytes;
    await learner.accumulate(batch, 1, gradients);
    await learner.evaluate(batch);
    expect(engine.allocatedBytes).toBe(held);
  });
});

test.each(engines)("a reference of another size gives its own log-probabilities, in $precision", async (used) => {
  const { engine, tolerance } = used;
  const reference = tinyModel(engine, tinyConfiguration({ hidden_size: 24, num_hidden_layers: 3 }), 2);
  const learner = new Learner({ ...models(used, pairObjectives[5]), reference });
  const alone = new Learner({
    engine,
    policy: reference,
    reference: undefined,
    objective: createObjective({ name: "dpo", beta: 0.1, referenceFree: true }),
  });
  const logps = async (one: Learner, name: "policyLogp" | "referenceLogp") =>
    (await one.evaluate(batch)).flatMap(({ responses }) => responses.flatMap((response) => [...response[name]!]));
  expect(largestError(await logps(learner, "referenceLogp"), await logps(alone, "policyLogp"))).toBeLessThan(tolerance);
});

test("the same model as policy and reference: no rewards, no divergence, loss log 2", async () => {
  for (const options of [pairObjectives[0], pairObjectives[4], pairObjectives[5]]) {
    const { policy, ...rest } = models(float32, options);
    const scored = await new Learner({ ...rest, policy, reference: policy }).evaluate(batch);
    for (const { outcome, responses } of scored) {
      expect([outcome.loss, outcome.rewards]).toEqual([Math.log(2), [0, 0]]);
      for (const { klReferencePolicy } of responses)
        expect(klReferencePolicy!.every((value) => value === 0)).toBe(true);
    }
  }
});

describe("what is reported", () => {
  test("evaluation has the sequential KL whatever the objective, training only what it needs", async () => {
    for (const options of pairObjectives) {
      const used = models(float64, options);
      const learner = new Learner(used);
      const evaluated = await learner.evaluate(batch);
      const trained = await learner.accumulate(batch, 1, zeroGradients(used.engine, used.policy));
      const names = (scored: typeof evaluated) => Object.keys(scored[0]!.responses[0]!).sort();
      const compared = used.reference !== undefined;
      const needed = [...Object.keys(used.objective.statistics), "policyLogp", ...(compared ? ["referenceLogp"] : [])];
      const reported = compared ? ["klReferencePolicy"] : [];
      expect(names(evaluated)).toEqual([...new Set([...needed, ...reported])].sort());
      expect(names(trained)).toEqual(needed);
      expect(trained.map(({ outcome }) => outcome.loss)).toEqual(evaluated.map(({ outcome }) => outcome.loss));
    }
  });

  test("without a reference there is neither its log-probability nor a divergence", async () => {
    const { reference: _, ...used } = models(float64, { name: "dpo", beta: 0.1, referenceFree: true });
    const scored = await new Learner({ ...used, reference: undefined }).evaluate(batch);
    expect(Object.keys(scored[0]!.responses[0]!)).toEqual(["policyLogp"]);
  });

  test("an objective that needs a reference is refused without one", () => {
    const used = models(float64, pairObjectives[5]);
    expect(() => new Learner({ ...used, reference: undefined })).toThrow("tdpo2 needs a reference");
  });
});
