import { describe, expect, test } from "vitest";
import { largestError } from "../../test/helpers/compare.ts";
import { engines } from "../../test/helpers/engines.ts";
import { logitsOf, scoringAll, sequenceBatch } from "../../test/helpers/logits.ts";
import { example, tinyConfiguration, tinyModel } from "../../test/helpers/tiny.ts";
import { packBatch } from "../data/batch.ts";
import { upload } from "../engine/engine.ts";
import { UserError } from "../errors.ts";
import { defineProgram } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { rotaryOf, rotaryTables, rotate } from "./rotary.ts";

const rope = { ropeTheta: 100, ropeScaling: undefined };

describe.each(engines)("in $precision", ({ engine, tolerance }) => {
  test.each([
    { layout: "halves", rotaryWidth: 6 },
    { layout: "halves", rotaryWidth: 4 },
    { layout: "interleaved", rotaryWidth: 6 },
    { layout: "interleaved", rotaryWidth: 4 },
  ] as const)("each pair of a head turns by its angle: %o", async ({ layout, rotaryWidth }) => {
    const positions = Int32Array.of(0, 3, 50);
    const [heads, headWidth, half] = [2, 6, rotaryWidth / 2];
    const rotary = rotaryOf({ ...rope, rotaryWidth }, headWidth, layout);
    const tables = rotaryTables(engine, rotary, { positions, lengths: Int32Array.of(1, 4, 51) });
    const x = input(["tokens", heads * headWidth]);
    const [cos, sin] = [input(["tokens", 1, headWidth]), input(["tokens", 1, headWidth])];
    const y = rotate(x, { heads, headWidth, rotaryWidth, layout }, { cos, sin });
    const program = engine.compile(defineProgram("rotate", { x, cos, sin }, { y }));
    const numbers = Array.from({ length: 3 * heads * headWidth }, (_, index) => Math.sin(index + 1));
    const value = upload(engine, [3, heads * headWidth], numbers);
    const expected = [...numbers];
    for (const [token, position] of positions.entries()) {
      for (let head = 0; head < heads; head++) {
        for (let pair = 0; pair < half; pair++) {
          const start = (token * heads + head) * headWidth;
          const [i, j] = layout === "halves" ? [pair, pair + half] : [2 * pair, 2 * pair + 1];
          const [a, b] = [numbers[start + i]!, numbers[start + j]!];
          const angle = position * 100 ** ((-2 * pair) / rotaryWidth);
          expected[start + i] = a * Math.cos(angle) - b * Math.sin(angle);
          expected[start + j] = b * Math.cos(angle) + a * Math.sin(angle);
        }
      }
    }
    const { y: turned } = await program.run({ x: value, ...tables });
    expect(largestError(await engine.read(turned!), expected)).toBeLessThan(tolerance);
    program.dispose();
    for (const used of [value, turned!, ...Object.values(tables)]) engine.release(used);
  });

  describe("with factors for sequences beyond 8 tokens", () => {
    const rope_scaling = {
      rope_type: "longrope",
      short_factor: [1, 1.5],
      long_factor: [2, 7],
      original_max_position_embeddings: 8,
    };
    const model = tinyModel(engine, tinyConfiguration({ rope_scaling }), 3);
    const short = [[3, 4, 5, 6], [7, 8, 9], [10]] as const;
    const long = [
      [13, 14, 15],
      [16, 17, 18, 19, 20, 21],
      [22, 23, 24, 25, 26, 27, 28],
    ] as const;

    test("packed rows on both sides say what each sequence says alone", async () => {
      const batch = packBatch([short, long].map(([prompt, ...answers]) => example(prompt, ...answers)));
      const packed = await logitsOf(engine, model, scoringAll(batch));
      const alone = [];
      for (const [prompt, first, second] of [short, long]) {
        const [one, other] = [
          [...prompt, ...first],
          [...prompt, ...second],
        ].map(sequenceBatch);
        alone.push(...(await logitsOf(engine, model, one!)));
        alone.push(...(await logitsOf(engine, model, other!)).slice(prompt.length));
      }
      expect(largestError(packed.flat(), alone.flat())).toBeLessThan(tolerance);
    });

    test("the length of the whole sequence counts, for its first tokens too", async () => {
      const whole = await logitsOf(engine, model, sequenceBatch([1, 2, 3, 4, 5, 6, 7, 8, 9]));
      const begun = await logitsOf(engine, model, sequenceBatch([1, 2, 3, 4, 5, 6, 7, 8]));
      expect(largestError(begun.flat(), whole.slice(0, 8).flat())).toBeGreaterThan(0.01);
    });

    test("answers on both sides cannot share their prompt", async () => {
      const batch = packBatch([example(long[0], long[1], short[1])]);
      const message = "maxLength: answers to one prompt end after 9 and 6 tokens, and the model's rotary positions";
      await expect(logitsOf(engine, model, scoringAll(batch))).rejects.toThrow(UserError);
      await expect(logitsOf(engine, model, scoringAll(batch))).rejects.toThrow(message);
    });
  });
});
