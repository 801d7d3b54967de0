import { describe, expect, test } from "vitest";
import { largestError } from "../../test/helpers/compare.ts";
import { engines } from "../../test/helpers/engines.ts";
import { logitsOf, sequenceBatch } from "../../test/helpers/logits.ts";
import { tinyConfiguration, tinyFamilies, tinyModel } from "../../test/helpers/tiny.ts";
import type { Engine, FloatValue } from "../engine/engine.ts";
import { architectureOf } from "../families/registry.ts";
import { greedy } from "../generate/sampler.ts";
import { Decoder } from "./decoder.ts";
import type { LanguageModel } from "./language-model.ts";
import { Transformer } from "./transformer.ts";

const shapes = [
  ["grouped-query attention", {}],
  ["one key for all queries", { num_key_value_heads: 1, tie_word_embeddings: true }],
  ["a key for each query, biases, stretched positions", biased()],
  ["positions by YaRN", { rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 } }],
  ["GPT-NeoX, one after the other", { ...tinyFamilies.gpt_neox, use_parallel_residual: false }],
  ["StableLM 2, side by side", { ...tinyFamilies.stablelm, use_parallel_residual: true, qk_layernorm: true }],
  ...Object.entries(tinyFamilies),
] as const;

function biased() {
  const rope_scaling = { type: "linear", factor: 2 };
  return { num_key_value_heads: 4, attention_bias: true, mlp_bias: true, rope_scaling };
}

/** Lengths from one token on, not in order. */
const prompts = [Int32Array.of(3, 9, 4, 7, 5), Int32Array.of(6), Int32Array.of(8, 3, 8, 21, 30, 2, 12, 5, 39)];

describe.each(engines)("in $precision", ({ engine, tolerance }) => {
  test.each(shapes)("every step's logits are those of the whole sequence: %s", async (_name, changes) => {
    const model = tinyModel(engine, tinyConfiguration(changes), 4);
    const { sequences, logits } = await decode(engine, model, { copies: 2, steps: 12 });
    for (const [row, sequence] of sequences.entries()) {
      const expected = await logitsOf(engine, model, sequenceBatch(sequence));
      const first = prompts[row >> 1]!.length - 1;
      for (const [step, rows] of logits.entries()) {
        expect(greedy(rows[row]!), `sequence ${row}, step ${step}`).toBe(greedy(expected[first + step]!));
        expect(largestError(rows[row]!, expected[first + step]!)).toBeLessThan(tolerance);
      }
    }
  });

  test("the head's bias counts in every step", async () => {
    const architecture = { ...architectureOf(tinyConfiguration()), headBias: "lm_head.bias" };
    const model = tinyModel(engine, architecture.configuration, 4, new Transformer(engine, architecture));
    const { sequences, logits } = await decode(engine, model, { copies: 1, steps: 2 });
    const expected = await logitsOf(engine, model, sequenceBatch(sequences[0]!));
    const first = prompts[0]!.length - 1;
    for (const [step, rows] of logits.entries())
      expect(largestError(rows[0]!, expected[first + step]!)).toBeLessThan(tolerance);
  });

  test("copies may go different ways, and some may stop", async () => {
    const model = tinyModel(engine, tinyConfiguration(), 7);
    const decoder = new Decoder(engine, model);
    engine.release(await decoder.start(prompts, { copies: 2, newTokens: 3 }));
    engine.release(await decoder.next(Int32Array.of(5, 6, 7, 8, 9, 10)));
    decoder.keep([1, 4, 5]);
    engine.release(await decoder.next(Int32Array.of(11, 12, 13)));
    decoder.keep([2, 0]);
    const last = rowsOf(await decoder.next(Int32Array.of(14, 15)), engine);
    decoder.dispose();
    const sequences = [
      [...prompts[2]!, 10, 13, 14],
      [...prompts[0]!, 6, 11, 15],
    ];
    for (const [row, sequence] of sequences.entries()) {
      const expected = await logitsOf(engine, model, sequenceBatch(sequence));
      expect(largestError(last[row]!, expected.at(-1)!)).toBeLessThan(tolerance);
    }
  });
});

test("memory comes back, after one batch as after another", async () => {
  const { engine } = engines[1];
  const model = tinyModel(engine, tinyConfiguration(), 1);
  const before = engine.allocatedBytes;
  for (let round = 0; round < 2; round++) {
    await decode(engine, model, { copies: 3, steps: 5, keep: [0, 4] });
    expect(engine.allocatedBytes).toBe(before);
  }
});

test("a step beyond the room asked for is an error", async () => {
  const { engine } = engines[0];
  const decoder = new Decoder(engine, tinyModel(engine, tinyConfiguration(), 1));
  await decoder.start([Int32Array.of(1, 2)], { copies: 1, newTokens: 1 });
  await decoder.next(Int32Array.of(3));
  await expect(decoder.next(Int32Array.of(3))).rejects.toThrow("the cache is full after 3 positions");
});

/** Greedy tokens behind `prompts`: the sequences with them, and the logits of each step and row. */
async function decode(
  engine: Engine,
  model: LanguageModel,
  { copies, steps, keep }: { copies: number; steps: number; keep?: number[] },
) {
  const decoder = new Decoder(engine, model);
  let sequences = prompts.flatMap((prompt) => Array.from({ length: copies }, () => [...prompt]));
  const logits: number[][][] = [];
  for (let step = 0; step < steps; step++) {
    const value =
      step === 0
        ? await decoder.start(prompts, { copies, newTokens: steps })
        : await decoder.next(Int32Array.from(sequences, (sequence) => sequence.at(-1)!));
    logits.push(rowsOf(value, engine));
    for (const [row, sequence] of sequences.entries()) sequence.push(greedy(logits[step]![row]!));
    if (keep && step === 2) {
      decoder.keep(keep);
      sequences = keep.map((row) => sequences[row]!);
    }
  }
  decoder.dispose();
  return { sequences, logits };
}

/** The rows of a matrix, which is released. */
function rowsOf(value: FloatValue, engine: Engine): number[][] {
  const [count, width] = value.shape as [number, number];
  const rows = Array.from({ length: count }, (_, row) => [...value.data.subarray(row * width, (row + 1) * width)]);
  engine.release(value);
  return rows;
}
