/**
 * Every combination of the switches that save time or memory against the plain run: they change how
 * a step is computed, not what.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { onnxRuntimeEngine } from "../src/engine/native/onnx-runtime.ts";
import { createObjective, type ObjectiveOptions } from "../src/objectives/index.ts";
import { Optimizer } from "../src/step/optimizer.ts";
import { Trainer, type TrainerOptions } from "../src/step/trainer.ts";
import { fillCache, headAlone } from "../src/train/reference.ts";
import { ReferenceCache } from "../src/train/reference-cache.ts";
import { relativeError, worstGradient } from "./helpers/compare.ts";
import { temporaryFolder } from "./helpers/runs.ts";
import {
  example,
  pairObjectives,
  randomExamples,
  tinyConfiguration,
  tinyFamilies,
  tinyModel,
  weighted,
  weightedIf,
} from "./helpers/tiny.ts";

const engine = onnxRuntimeEngine({ threads: 2 });
const pairs = randomExamples(
  1,
  Array.from({ length: 9 }, (_, index) => [1 + (index % 5), 1 + ((3 * index) % 8), 2 + ((5 * index) % 7)] as const),
);
const texts = pairs.map(({ prompt, responses }) => example([...prompt], [...responses[0]!]));

const objectives: [string, ObjectiveOptions, typeof pairs, Readonly<Record<string, unknown>>?][] = [
  ["sft", { name: "sft" }, texts],
  ...([0, 3, 4, 5] as const).map((index): [string, ObjectiveOptions, typeof pairs] => [
    pairObjectives[index].name,
    pairObjectives[index],
    pairs,
  ]),
  ["tis-dpo with weights", pairObjectives[7], weighted(pairs)],
  ...Object.entries(tinyFamilies).map(([name, family]): (typeof objectives)[number] => [
    `tdpo2 of ${name}`,
    pairObjectives[5],
    pairs,
    family,
  ]),
];

/**
 * How the examples fall into runs of programs: these change the order in which numbers are added.
 */
const cuts = [10_000, 20].flatMap((tokens) =>
  [
    { entries: 1000, tile: 1e6, kept: 1e6 },
    { entries: 6, tile: 100, kept: 300 },
  ].map((headSizes) => ({
    microbatch: { tokens },
    headSizes,
  })),
);

/**
 * What leaves every number as it is: where the reference's states come from, and what is computed
 * again.
 */
const plain = { reference: "whole", activationCheckpointing: false } as const;
const savings = [
  { reference: "whole", activationCheckpointing: true },
  ...[false, true].flatMap((activationCheckpointing) => [
    { reference: "cached", activationCheckpointing } as const,
    { reference: "ahead", activationCheckpointing } as const,
  ]),
] as const;

describe.each(objectives)("%s", (_, options, examples, family) => {
  const configuration = tinyConfiguration(family);
  const objective = weightedIf(examples, createObjective(options));
  const policy = tinyModel(engine, configuration, 1);
  const compared = objective.reference === "none" ? undefined : tinyModel(engine, configuration, 2, policy);

  /**
   * Loss, gradient norm and gradients of a step; with a cache those of a step that finds everything
   * in it.
   */
  async function stepWith(
    { reference, ...how }: (typeof savings | [typeof plain])[number] & Pick<TrainerOptions, "microbatch" | "headSizes">,
    file: string,
  ) {
    const identity = { reference: "", width: configuration.width };
    const cache =
      compared && reference !== "whole"
        ? await ReferenceCache.open(file, identity, { budget: 1e9, wanted: new Set(examples), warn() {} })
        : undefined;
    if (cache && reference === "ahead")
      for await (const _ of fillCache(engine, compared!, cache, examples, how.microbatch));
    const trainer = new Trainer({
      ...{ engine, policy, objective, totalSteps: 1, maxGradientNorm: 10, ...how },
      reference: cache && reference === "ahead" ? headAlone(engine, compared!, { copy: true }) : compared,
      optimizer: new Optimizer(engine, { name: "adamw" }, policy.trainable),
      schedule: { learningRate: 1e-4 },
    });
    trainer.learner.referenceCache = cache;
    if (reference === "cached") await trainer.gradients(examples);
    if (cache) expect(examples.every((one) => cache.has(one))).toBe(true);
    const result = await trainer.gradients(examples);
    await cache?.close({ keep: false });
    return result;
  }

  test("loss, norm and gradients are the plain run's", async () => {
    const folder = await temporaryFolder();
    const uncut = await stepWith({ ...plain, ...cuts[0]! }, "");
    for (const [index, cut] of cuts.entries()) {
      const alike = index === 0 ? uncut : await stepWith({ ...plain, ...cut }, "");
      expect(relativeError([alike.loss, alike.gradientNorm], [uncut.loss, uncut.gradientNorm])).toBeLessThan(1e-6);
      expect(worstGradient(alike.gradients, uncut.gradients).error).toBeLessThan(1e-6);
      for (const saving of savings) {
        if (!compared && saving.reference !== "whole") continue;
        const how = { ...saving, ...cut };
        const saved = await stepWith(how, join(folder, JSON.stringify(how)));
        expect([saved.loss, saved.gradientNorm], JSON.stringify(how)).toEqual([alike.loss, alike.gradientNorm]);
        expect(saved.gradients, JSON.stringify(how)).toEqual(alike.gradients);
      }
    }
  });
});
