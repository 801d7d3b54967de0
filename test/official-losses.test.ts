/**
 * The objectives against numbers that the authors' published code computed. TOKENWISE_ORACLE names
 * another file of such cases to be used instead.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { upload } from "../src/engine/engine.ts";
import { float64Engine } from "../src/engine/float64.ts";
import { createObjective, type ObjectiveOptions } from "../src/objectives/index.ts";
import type { Objective } from "../src/objectives/objective.ts";
import type { StatisticUses } from "../src/objectives/statistics.ts";
import { withImportanceWeights } from "../src/objectives/token-rules.ts";
import { ObjectiveEvaluator, type ResponseVectors } from "../src/step/objective-evaluator.ts";
import { StatisticsHead } from "../src/step/statistics-head.ts";
import { largestError } from "./helpers/compare.ts";
import { identityHead, labelled } from "./helpers/head.ts";

interface OfficialCase {
  seed?: number;
  pairs: number;
  beta: number;
  alpha: number;
  /**
   * [rows][positions][vocabulary]: chosen responses, then as many rejected ones. Position t
   * predicts the label at t + 1.
   */
  policyLogits: number[][][];
  referenceLogits: number[][][];
  /** [rows][positions]; what is negative is not scored. */
  labels: number[][];
  /** [rows][positions]: the importance weight of each label. */
  weights: number[][];
  expected: Record<string, Record<string, unknown>>;
}

const file = process.env.TOKENWISE_ORACLE ?? new URL("golden/official-losses.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: OfficialCase[] };

/** The objective that each key of the file means. */
const objectives: Readonly<Record<string, (options: OfficialCase) => ObjectiveOptions>> = {
  dpo: ({ beta }) => ({ name: "dpo", beta }),
  "dpo_label_smoothing_0.1": ({ beta }) => ({ name: "dpo", beta, labelSmoothing: 0.1 }),
  dpo_reference_free: ({ beta }) => ({ name: "dpo", beta, referenceFree: true }),
  ipo: ({ beta }) => ({ name: "ipo", beta }),
  tdpo1: ({ beta }) => ({ name: "tdpo1", beta }),
  tdpo2: ({ beta, alpha }) => ({ name: "tdpo2", beta, alpha }),
  tisdpo_without_kl: ({ beta }) => ({ name: "tis-dpo", beta }),
  tisdpo_with_kl: ({ beta, alpha }) => ({ name: "tis-dpo", beta, alpha }),
};
// The file's numbers are rounded at the ninth decimal.
const tolerance = 1e-6;

test("the file holds cases", () => {
  expect(cases.length, String(file)).toBeGreaterThan(0);
});

test.for(cases.flatMap(({ expected }) => Object.keys(expected)))("%s is an objective we know of", (key) => {
  expect(Object.keys(objectives)).toContain(key);
});

const all = cases.flatMap((one, index) =>
  Object.entries(one.expected).map(([key, expected]) => ({ index, key, one, expected })),
);

test.for(all)("case $index: $key", async ({ key, one, expected }) => {
  const actual = await compute(one, createObjective(objectives[key]!(one)));
  for (const [field, numbers] of Object.entries(expected)) {
    const values = actual[field];
    if (!values) throw new Error(`${key}: no number is known as ${field}`);
    expect(largestError(values, (numbers as number[]).flat(2)), field).toBeLessThan(tolerance);
  }
});

/**
 * Our numbers under the file's names, flat: statistics of logits, the objective over them, and
 * back.
 */
async function compute(
  { pairs, policyLogits, referenceLogits, labels, weights: weightsOfLabels }: OfficialCase,
  plain: Objective,
): Promise<Record<string, ArrayLike<number>>> {
  const engine = float64Engine();
  const vocabularySize = policyLogits[0]![0]!.length;
  const entries = labels.flatMap((row, rowIndex) =>
    row.slice(1).flatMap((label, t) => (label < 0 ? [] : [{ label, row: rowIndex, t }])),
  );
  const scoredLogits = (logits: number[][][]) =>
    upload(
      engine,
      [entries.length, vocabularySize],
      entries.flatMap(({ row, t }) => logits[row]![t]!),
    );
  const states = { hidden: scoredLogits(policyLogits), reference: scoredLogits(referenceLogits) };
  const model = identityHead(engine, vocabularySize);
  // Two tiles, the second of which is smaller where their number is odd.
  const headSizes = { entries: entries.length, tile: (entries.length * (vocabularySize + 1)) / 2, kept: 0 };
  const head = new StatisticsHead({ engine, policy: model, reference: model, headSizes }, divergences);
  const { batch, range } = labelled(entries.map(({ label }) => label));
  const pass = await head.forward(batch, range, states, { save: true });
  const values = pass.statistics;
  const { names } = head;
  const rows = labels.map(
    (_, row): ResponseVectors =>
      Object.fromEntries(names.map((name) => [name, values[name]!.filter((_, i) => entries[i]!.row === row)])),
  );
  const weights = weightsOfLabels.map((row, index) =>
    Float64Array.from(row.slice(1).filter((_, t) => labels[index]![t + 1]! >= 0)),
  );
  const objective = plain.weights === "required" ? withImportanceWeights(plain) : plain;
  rows.forEach((vectors, row) => {
    vectors.weight = weights[row]!;
  });
  const outcomes = new ObjectiveEvaluator(objective, names).evaluate(
    Array.from({ length: pairs }, (_, pair) => [rows[pair]!, rows[pairs + pair]!]),
  );
  const gradientsOfRows = [0, 1].flatMap((side) => outcomes.map(({ gradients }) => gradients[side]!));
  const cotangents = names.map((name) => {
    const flat = rows.flatMap((row, index) => [...(gradientsOfRows[index]![name] ?? row[name]!.map(() => 0))]);
    return [name, Float64Array.from(flat, (value) => value / pairs)] as const;
  });
  const ofLogits = engine.zeros([entries.length, vocabularySize]);
  await head.backward(pass, Object.fromEntries(cotangents), ofLogits, new Map());
  const scoredGradient = ofLogits.data;

  const gradPolicyLogits = policyLogits.map((row) => row.map((logits) => logits.map(() => 0)));
  entries.forEach(({ row, t }, entry) => {
    gradPolicyLogits[row]![t] = [...scoredGradient.subarray(entry * vocabularySize, (entry + 1) * vocabularySize)];
  });
  const weighted = (vector: Float64Array, row: number) => vector.map((value, t) => value * weights[row]![t]!);
  const total = (vector: Float64Array) => vector.reduce((sum, value) => sum + value, 0);
  return {
    losses: outcomes.map(({ loss }) => loss),
    chosenRewards: outcomes.map(({ rewards }) => rewards![0]),
    rejectedRewards: outcomes.map(({ rewards }) => rewards![1]),
    sumLogRatio: rows.map(({ policyLogp, referenceLogp }) => total(policyLogp!) - total(referenceLogp!)),
    seqKlReferencePolicy: rows.map(({ klReferencePolicy }) => total(klReferencePolicy!)),
    weightedSumLogRatio: rows.map(
      ({ policyLogp, referenceLogp }, row) => total(weighted(policyLogp!, row)) - total(weighted(referenceLogp!, row)),
    ),
    weightedSeqKlPolicyReference: rows.map(({ klPolicyReference }, row) => total(weighted(klPolicyReference!, row))),
    policyLogps: rows.map(({ policyLogp }) => total(policyLogp!)),
    gradPolicyLogits: gradPolicyLogits.flat(2),
  };
}

/** Both divergences besides the log-probabilities. */
const divergences: StatisticUses = { klReferencePolicy: "gradient", klPolicyReference: "gradient" };
