/**
 * The packed layout (one row `prompt | chosen | rejected`, the prompt computed once) against
 * sequences computed one by one, and every way to cut a step into pieces against the step in one
 * piece.
 */
import { describe, expect, test } from "vitest";
import { packBatch } from "../src/data/batch.ts";
import type { TokenizedExample } from "../src/data/example.ts";
import type { Parameters } from "../src/models/parameters.ts";
import { createObjective, type ObjectiveOptions } from "../src/objectives/index.ts";
import type { Objective } from "../src/objectives/objective.ts";
import { type JudgedExample, Learner } from "../src/step/learner.ts";
import { divisorsOf, meansOf } from "../src/step/means.ts";
import type { HeadSizes } from "../src/step/statistics-head.ts";
import { largestError, relativeError, worstGradient } from "./helpers/compare.ts";
import { engines } from "./helpers/engines.ts";
import { type Models, plainGradients } from "./helpers/plain.ts";
import {
  example,
  pairObjectives,
  randomExamples,
  tinyConfiguration,
  tinyFamilies,
  tinyModel,
  weighted,
  weightedIf,
  zeroGradients,
} from "./helpers/tiny.ts";

const tdpo2: ObjectiveOptions = pairObjectives[5];

/**
 * Unequal lengths, a cut answer, one-token answers, a one-token prompt, and answers that begin
 * alike.
 */
const pairs = [
  ...randomExamples(
    1,
    [
      [5, 7, 3],
      [4, 2, 9],
      [6, 1, 1],
      [1, 3, 4],
    ],
    { cut: [1] },
  ),
  example([7, 9, 11], [13, 15, 17, 2], [13, 15, 19, 21, 2]),
];

const shapes: Record<string, Readonly<Record<string, unknown>>> = {
  "grouped-query attention": {},
  "tied embeddings": { tie_word_embeddings: true },
  "as many key-value heads, one layer": { num_key_value_heads: 4, num_hidden_layers: 1 },
  "one key-value head, three layers": { num_key_value_heads: 1, num_hidden_layers: 3 },
  ...tinyFamilies,
  "gpt_neox, one after the other": { ...tinyFamilies.gpt_neox, use_parallel_residual: false },
  "stablelm, side by side": { ...tinyFamilies.stablelm, use_parallel_residual: true, qk_layernorm: true },
  "biases and wider heads": { attention_bias: true, mlp_bias: true, head_dim: 6, tie_word_embeddings: true },
};

type Engines = (typeof engines)[number];

function models({ engine }: Engines, options: ObjectiveOptions, shape: Readonly<Record<string, unknown>> = {}): Models {
  const configuration = tinyConfiguration(shape);
  const policy = tinyModel(engine, configuration, 1);
  const objective = createObjective(options);
  const reference = objective.reference === "none" ? undefined : tinyModel(engine, configuration, 2, policy);
  return { engine, policy, reference, objective };
}

/** Our gradients of a step whose examples are computed in the given groups. */
async function packedGradients(
  { engine, ...rest }: Models,
  groups: readonly (readonly TokenizedExample[])[],
  how: { headSizes?: HeadSizes; activationCheckpointing?: boolean } = {},
) {
  const objective = weightedIf(groups.flat(), rest.objective);
  const learner = new Learner({ engine, ...rest, objective, ...how });
  const gradients = zeroGradients(engine, rest.policy);
  const scale = scaleOf(rest.objective, groups.flat());
  const scored: JudgedExample[] = [];
  for (const group of groups) scored.push(...(await learner.accumulate(packBatch(group), scale, gradients)));
  return { scored, gradients };
}

interface Gradients {
  readonly scored: readonly Pick<JudgedExample, "outcome" | "responses">[];
  readonly gradients: Parameters;
}

/** Every number of an example's outcome and statistics, in a fixed order. */
function numbers({ outcome, responses }: Gradients["scored"][number]): number[] {
  const vectors = [...responses, ...outcome.gradients].flatMap((response) => Object.values(response));
  return [outcome.loss, ...(outcome.rewards ?? []), ...vectors.flatMap((vector) => [...vector])];
}

function expectSame(actual: Gradients, expected: Gradients, tolerance: number): void {
  expect(actual.scored.length).toBe(expected.scored.length);
  expect(largestError(actual.scored.flatMap(numbers), expected.scored.flatMap(numbers))).toBeLessThan(tolerance);
  const { name, error } = worstGradient(actual.gradients, expected.gradients);
  expect(error, name).toBeLessThan(tolerance);
}

describe.each(engines)("in $precision", (engines) => {
  const { engine, tolerance } = engines;

  test.each(pairObjectives)("packed equals plain for %o", async (options) => {
    const used = models(engines, options);
    const plain = await plainGradients(used, pairs, 1 / pairs.length);
    expectSame(await packedGradients(used, [pairs]), plain, tolerance);
  });

  test.each(pairObjectives)("packed equals plain with importance weights for %o", async (options) => {
    const used = models(engines, options);
    const plain = await plainGradients(used, weighted(pairs), 1 / pairs.length);
    expectSame(await packedGradients(used, [weighted(pairs)]), plain, tolerance);
    const unweighted = await packedGradients(used, [pairs]);
    expect(worstGradient(unweighted.gradients, plain.gradients).error).toBeGreaterThan(0.01);
    // Cut into microbatches, chunks and tiles, each weight stays with its token.
    const headSizes = { entries: 4, tile: 100, kept: 300 };
    expectSame(await packedGradients(used, cutInto(weighted(pairs), [2, 3]), { headSizes }), plain, tolerance);
  });

  test("weights of 1 change nothing", async () => {
    const ones = pairs.map((one) => ({
      ...one,
      given: { weight: one.responses.map(({ length }) => new Float64Array(length).fill(1)) },
    }));
    for (const options of pairObjectives) {
      const used = models(engines, options);
      const [unweighted, whole] = [await packedGradients(used, [pairs]), await packedGradients(used, [ones])];
      expect(worstGradient(whole.gradients, unweighted.gradients).error).toBeLessThan(tolerance);
    }
  });

  test.each(Object.entries(shapes))("packed equals plain with %s", async (_, shape) => {
    const used = models(engines, tdpo2, shape);
    const plain = await plainGradients(used, pairs, 1 / pairs.length);
    expectSame(await packedGradients(used, [pairs]), plain, tolerance);
  });

  test("the gradient of a tied head is the sum of the embedding's and the head's", async () => {
    const [embedding, head] = ["model.embed_tokens.weight", "lm_head.weight"] as const;
    const tied = models(engines, tdpo2, { tie_word_embeddings: true });
    const untied = models(engines, tdpo2);
    for (const model of [untied.policy, untied.reference!]) {
      model.parameters.get(head)!.data.set(model.parameters.get(embedding)!.data);
    }
    const { gradients: expected } = await packedGradients(untied, [pairs]);
    const { gradients: actual } = await packedGradients(tied, [pairs]);
    const sum = expected.get(embedding)!.data.map((value, index) => value + expected.get(head)!.data[index]!);
    expect(relativeError(actual.get(embedding)!.data, sum)).toBeLessThan(tolerance);
    for (const name of actual.keys()) {
      if (name === embedding) continue;
      expect(relativeError(actual.get(name)!.data, expected.get(name)!.data), name).toBeLessThan(tolerance);
    }
  });

  const many = randomExamples(
    2,
    Array.from({ length: 11 }, (_, index) => [1 + (index % 4), 1 + ((3 * index) % 7), 1 + ((5 * index) % 6)] as const),
  );

  test.each([pairObjectives[0], tdpo2])("1, 2 and 7 uneven microbatches agree for %o", async (options) => {
    const used = models(engines, options);
    const whole = await packedGradients(used, [many]);
    for (const sizes of [
      [3, 8],
      [2, 1, 3, 1, 1, 2, 1],
    ]) {
      expectSame(await packedGradients(used, cutInto(many, sizes)), whole, tolerance);
    }
  });

  test.each(["tokens", "sequences"] as const)("microbatches agree for SFT's mean over %s", async (mean) => {
    const used = models(engines, { name: "sft", mean });
    const texts = many.map(({ prompt, responses }) => example([...prompt], [...responses[0]!]));
    const whole = await packedGradients(used, [texts]);
    expectSame(await packedGradients(used, cutInto(texts, [5, 1, 2, 3])), whole, tolerance);
    expectSame(whole, await plainGradients(used, texts, scaleOf(used.objective, texts)), tolerance);
    // The definition, from the log-probabilities themselves.
    const logps = whole.scored.flatMap(({ responses }) => [...responses[0]!.policyLogp!]);
    const loss = -logps.reduce((a, b) => a + b, 0) / (mean === "tokens" ? logps.length : texts.length);
    const total = whole.scored.reduce((sum, { outcome }) => sum + outcome.loss, 0);
    expect(largestError([total * scaleOf(used.objective, texts)], [loss])).toBeLessThan(1e-12);
  });

  test.each(pairObjectives)("the head's chunks and tiles change nothing for %o", async (options) => {
    const used = models(engines, options);
    const whole = await packedGradients(used, [pairs], { headSizes: { entries: 1000, tile: 1e6, kept: 1e6 } });
    // Of 40 words: one tile, several of which the last is smaller, one for each word.
    for (const headSizes of [
      { entries: 12, tile: 1e6, kept: 0 },
      { entries: 4, tile: 90, kept: 200 },
      { entries: 1, tile: 1, kept: 0 },
    ]) {
      expectSame(await packedGradients(used, [pairs], { headSizes }), whole, tolerance);
      const learner = new Learner({ ...used, headSizes });
      const evaluated = await learner.evaluate(packBatch(pairs));
      const losses = (scored: readonly JudgedExample[]) => scored.map(({ outcome }) => outcome.loss);
      expect(largestError(losses(evaluated), losses(whole.scored))).toBeLessThan(tolerance);
    }
  });

  test.each([{}, { num_hidden_layers: 1 }, { num_hidden_layers: 3, attention_bias: true, mlp_bias: true }])(
    "activation checkpointing changes nothing, with %o",
    async (shape) => {
      const used = models(engines, tdpo2, shape);
      const whole = await packedGradients(used, [pairs]);
      const again = await packedGradients(used, [pairs], { activationCheckpointing: true });
      expect(again.scored).toEqual(whole.scored);
      expect(again.gradients).toEqual(whole.gradients);
    },
  );

  test("an answer without tokens leaves the other answer's statistics alone", async () => {
    const used = models(engines, tdpo2);
    const [whole] = (await packedGradients(used, [[pairs[0]!]])).scored;
    const { prompt, responses } = pairs[0]!;
    const { scored, gradients } = await packedGradients(used, [[example([...prompt], [...responses[0]!], [])]]);
    const [chosen, rejected] = scored[0]!.responses;
    expect(largestError(chosen!.policyLogp!, whole!.responses[0]!.policyLogp!)).toBeLessThan(tolerance);
    expect(rejected!.policyLogp!.length).toBe(0);
    expect([...gradients.values()].every(({ data }) => data.every(Number.isFinite))).toBe(true);
  });

  test("identical answers: loss log 2 and no gradient for DPO", async () => {
    const used = models(engines, pairObjectives[0]);
    const same = example([4, 5, 6], [7, 8, 2], [7, 8, 2]);
    const { scored, gradients } = await packedGradients(used, [[same]]);
    expect(largestError([scored[0]!.outcome.loss], [Math.log(2)])).toBeLessThan(tolerance);
    const [chosen, rejected] = scored[0]!.outcome.rewards!;
    expect(Math.abs(chosen - rejected)).toBeLessThan(tolerance);
    const reverse = await packedGradients(models(engines, { name: "sft" }), [[example([4, 5, 6], [7, 8, 2])]]);
    for (const [name, { data }] of gradients) {
      const usual = Math.hypot(...reverse.gradients.get(name)!.data);
      expect(Math.hypot(...data) / usual, name).toBeLessThan(tolerance);
    }
  });

  test("gradients add to what the totals hold", async () => {
    const used = models(engines, tdpo2, { tie_word_embeddings: true, attention_bias: true, mlp_bias: true });
    const learner = new Learner(used);
    const { gradients: once } = await packedGradients(used, [pairs]);
    const totals = zeroGradients(engine, used.policy);
    for (const { data } of totals.values()) data.fill(0.5);
    await learner.accumulate(packBatch(pairs), 1 / pairs.length, totals);
    for (const [name, { data }] of totals) {
      expect(
        largestError(
          data,
          once.get(name)!.data.map((value) => value + 0.5),
        ),
        name,
      ).toBeLessThan(tolerance);
    }
  });
});

test("float32 agrees with float64", async () => {
  const [exact, fast] = engines;
  for (const options of pairObjectives) {
    for (const shape of [shapes["grouped-query attention"]!, shapes["biases and wider heads"]!]) {
      const expected = await packedGradients(models(exact, options, shape), [pairs]);
      const actual = await packedGradients(models(fast, options, shape), [pairs]);
      expectSame(actual, expected, 5e-5);
    }
  }
});

function cutInto<T>(items: readonly T[], sizes: readonly number[]): T[][] {
  const rest = [...items];
  const groups = sizes.map((size) => rest.splice(0, size));
  expect(rest).toEqual([]);
  return groups;
}

function scaleOf(objective: Objective, examples: readonly TokenizedExample[]): number {
  return meansOf(objective, divisorsOf(objective, examples)).scale;
}
