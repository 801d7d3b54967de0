import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { type LengthOptions, resolveLimits, truncate } from "./truncate.ts";

const bos = -1;
const eos = -2;
/** Tokens 1 … length, or 101 … for a response, so that it shows which were cut. */
const tokens = (length: number, from = 1) => Array.from({ length }, (_, index) => from + index);
const prompt = (length: number) => [bos, ...tokens(length - 1)];
const response = (length: number) => [...tokens(length - 1, 101), eos];

describe("resolveLimits", () => {
  test("defaults follow the model's context and maxLength", () => {
    expect(resolveLimits()).toEqual({ maxLength: 512, maxPromptLength: 256, truncation: "keep_end" });
    expect(resolveLimits({ contextLength: 256 })).toMatchObject({ maxLength: 256, maxPromptLength: 128 });
    expect(resolveLimits({ maxLength: 2 })).toMatchObject({ maxPromptLength: 1 });
    expect(resolveLimits({ maxLength: 4096, contextLength: 8192 })).toMatchObject({ maxPromptLength: 256 });
  });

  test.each<[LengthOptions, string]>([
    [{ maxLength: 1 }, "maxLength"],
    [{ maxLength: 10.5 }, "maxLength"],
    [{ maxLength: Number.NaN }, "maxLength"],
    [{ maxLength: 513, contextLength: 512 }, "maxLength"],
    [{ contextLength: 1 }, "maxLength"],
    [{ maxPromptLength: 0 }, "maxPromptLength"],
    [{ maxPromptLength: 512 }, "maxPromptLength"],
    [{ maxLength: 100, maxPromptLength: 100 }, "maxPromptLength"],
  ])("%j is refused", (options, field) => {
    const attempt = () => resolveLimits(options);
    expect(attempt).toThrow(UserError);
    expect(attempt).toThrow(new RegExp(`^${field}: `));
  });
});

describe("truncate", () => {
  const limits = { maxLength: 10, maxPromptLength: 4, truncation: "keep_end" } as const;

  test("what fits stays whole, even with a prompt beyond maxPromptLength", () => {
    expect(truncate(prompt(7), [response(3), response(2)], limits, bos)).toEqual({
      prompt: prompt(7),
      responses: [response(3), response(2)],
    });
  });

  test("the prompt gives way first, but not further than the longest response needs", () => {
    const cut = truncate(prompt(7), [response(5), response(2)], limits, bos);
    expect(cut).toEqual({ prompt: [bos, 3, 4, 5, 6], responses: [response(5), response(2)] });
  });

  test("then the long response alone is cut, and loses its EOS", () => {
    const cut = truncate(prompt(7), [response(3), response(9)], limits, bos);
    expect(cut).toEqual({ prompt: [bos, 4, 5, 6], responses: [response(3), tokens(6, 101)] });
  });

  test("a short prompt leaves its room to the responses", () => {
    expect(truncate(prompt(2), [response(12)], limits, bos)).toEqual({
      prompt: prompt(2),
      responses: [tokens(8, 101)],
    });
  });

  test("without BOS, and from the other side", () => {
    expect(truncate(tokens(7), [response(9)], limits, undefined).prompt).toEqual([4, 5, 6, 7]);
    expect(truncate(tokens(7), [response(9)], limits, bos).prompt).toEqual([4, 5, 6, 7]);
    expect(truncate(prompt(7), [response(9)], { ...limits, truncation: "keep_start" }, bos).prompt).toEqual([
      bos,
      1,
      2,
      3,
    ]);
    expect(truncate(prompt(7), [response(9)], { ...limits, maxPromptLength: 1 }, bos).prompt).toEqual([bos]);
  });

  test("always fits, never leaves anything empty, cuts no more than it must, and never cuts one response for the other", () => {
    const length = fc.integer({ min: 1, max: 40 });
    const anyLimits = fc.integer({ min: 2, max: 40 }).chain((maxLength) =>
      fc.record({
        maxLength: fc.constant(maxLength),
        maxPromptLength: fc.integer({ min: 1, max: maxLength - 1 }),
        truncation: fc.constantFrom("keep_end" as const, "keep_start" as const),
      }),
    );
    fc.assert(
      fc.property(length, length, length, anyLimits, (p, chosen, rejected, limits) => {
        const whole = { prompt: prompt(p), responses: [response(chosen), response(rejected)] };
        const cut = truncate(whole.prompt, whole.responses, limits, bos);
        const promptLength = cut.prompt.length;
        expect(promptLength).toBeGreaterThanOrEqual(1);
        expect(cut.prompt[0]).toBe(bos);
        if (promptLength < p) expect(promptLength).toBeGreaterThanOrEqual(limits.maxPromptLength);
        for (const [side, kept] of cut.responses.entries()) {
          const full = whole.responses[side]!;
          expect(kept.length).toBe(Math.min(full.length, limits.maxLength - promptLength));
          expect(kept.length).toBeGreaterThanOrEqual(1);
          expect(kept).toEqual(full.slice(0, kept.length));
          expect(kept.at(-1) === eos).toBe(kept.length === full.length);
        }
        // Something was cut only if it had to be, and then no room is wasted.
        const used = promptLength + Math.max(...cut.responses.map(({ length }) => length));
        expect(used).toBe(Math.min(limits.maxLength, p + Math.max(chosen, rejected)));
      }),
    );
  });
});
