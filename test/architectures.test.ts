/** Our families against transformers, and against an independent implementation in C. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { packBatch } from "../src/data/batch.ts";
import { createObjective } from "../src/objectives/index.ts";
import { Learner } from "../src/step/learner.ts";
import { loadLanguageModel } from "../src/storage/load-model.ts";
import { largestDifference, largestError, relativeError } from "./helpers/compare.ts";
import { engines } from "./helpers/engines.ts";
import {
  goldenFolder,
  goldenModels,
  goldenPair,
  goldenReference,
  gradientErrors,
  readGolden,
  stepMethods,
  stepOf,
} from "./helpers/golden.ts";
import { logitsOf, scoringAll, sequenceBatch } from "./helpers/logits.ts";
import { sharedFile } from "./helpers/shared-file.ts";
import { example, tinyConfiguration, tinyModel, zeroGradients } from "./helpers/tiny.ts";

/** The golden logits are rounded to seven digits, losses and gradients to twelve. */
const tolerances = {
  float64: { logits: 1e-6, loss: 1e-10, gradient: 1e-10 },
  float32: { logits: 1e-4, loss: 1e-5, gradient: 1e-4 },
};

describe.each(goldenModels)("golden model %s", (name) => {
  const folder = goldenFolder(name);
  const golden = readGolden(name);

  describe.each(engines)("in $precision", ({ engine, precision }) => {
    const tolerance = tolerances[precision];

    test("logits of each sequence", async () => {
      const model = await loadLanguageModel(engine, folder);
      for (const [index, tokens] of golden.tokens.entries()) {
        const logits = await logitsOf(engine, model, sequenceBatch(tokens));
        expect(largestError(logits.flat(), golden.logits[index]!.flat())).toBeLessThan(tolerance.logits);
      }
    });

    test("logits of a packed row", async () => {
      const model = await loadLanguageModel(engine, folder);
      const { positions, logits } = golden.packed;
      const batch = packBatch([goldenPair(golden)]);
      expect([...batch.positions]).toEqual(positions);
      const actual = await logitsOf(engine, model, scoringAll(batch));
      expect(largestError(actual.flat(), logits.flat())).toBeLessThan(tolerance.logits);
    });

    test("loss and gradient of every parameter", async () => {
      const policy = await loadLanguageModel(engine, folder);
      const learner = new Learner({
        engine,
        policy,
        reference: undefined,
        objective: createObjective({ name: "sft" }),
      });
      const gradients = zeroGradients(engine, policy);
      const [first, ...rest] = golden.tokens[0]!;
      const scale = 1 / rest.length;
      const [scored] = await learner.accumulate(packBatch([example([first!], rest)]), scale, gradients);
      expect(largestError([scored!.outcome.loss * scale], [golden.gradient.loss])).toBeLessThan(tolerance.gradient);
      const errors = gradientErrors(gradients, golden.gradient);
      expect(Math.max(...errors.values())).toBeLessThan(tolerance.gradient);
    });

    test.each(stepMethods)("a step of %s", async (method) => {
      const policy = await loadLanguageModel(engine, folder);
      const reference = await goldenReference(engine, name, policy);
      const step = await stepOf({ engine, policy, reference }, method, golden);
      expect(largestError([step.loss], [golden.steps[method].loss])).toBeLessThan(tolerance.loss);
      expect(relativeError([step.gradientNorm], [golden.steps[method].gradientNorm])).toBeLessThan(tolerance.gradient);
    });
  });
});

test.each(engines)("only distances between positions matter, in $precision", async ({ engine, tolerance }) => {
  const model = tinyModel(engine, tinyConfiguration(), 1);
  const batch = sequenceBatch([5, 8, 3, 30, 21, 8]);
  const shifted = { ...batch, positions: batch.positions.map((position) => position + 17) };
  const reversed = { ...batch, positions: batch.positions.toReversed() };
  const logits = (await logitsOf(engine, model, batch)).flat();
  expect(largestError((await logitsOf(engine, model, shifted)).flat(), logits)).toBeLessThan(tolerance);
  expect(largestError((await logitsOf(engine, model, reversed)).flat(), logits)).toBeGreaterThan(0.01);
});

describe("the trained model stories260k", () => {
  const engine = engines[1].engine;

  test("logits at all positions", async (context) => {
    const oracle = sharedFile(context, "oracle/stories260k-logits.json");
    const { tokens, logits } = JSON.parse(readFileSync(oracle, "utf8")) as { tokens: number[]; logits: number[][] };
    for (const one of engines) {
      const model = await loadLanguageModel(one.engine, sharedFile(context, "models/stories260k"));
      const actual = await logitsOf(one.engine, model, sequenceBatch(tokens));
      expect(largestDifference(actual.flat(), logits.flat()), one.precision).toBeLessThan(1e-4);
    }
  });

  test("the greedy continuation, token for token", async (context) => {
    const oracle = sharedFile(context, "oracle/stories260k-logits.json");
    const { greedy } = JSON.parse(readFileSync(oracle, "utf8")) as { greedy: number[] };
    const model = await loadLanguageModel(engine, sharedFile(context, "models/stories260k"));
    const tokens = [greedy[0]!];
    while (tokens.length < greedy.length) {
      const batch = sequenceBatch(tokens);
      const [logits] = await logitsOf(engine, model, { ...batch, entries: batch.entries.slice(-1) });
      tokens.push(logits!.indexOf(Math.max(...logits!)));
    }
    expect(tokens).toEqual(greedy);
  });
});
