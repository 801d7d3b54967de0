import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { largestError } from "../../test/helpers/compare.ts";
import { frequencyLength, type RopeScaling, rotaryFrequencies } from "./rotary-frequencies.ts";

const frequencies = (rotaryWidth: number, ropeTheta: number, ropeScaling?: RopeScaling, length = 1) =>
  rotaryFrequencies({ rotaryWidth, ropeTheta, ropeScaling }, length);
const llama3 = {
  type: "llama3",
  factor: 8,
  lowFrequencyFactor: 1,
  highFrequencyFactor: 4,
  originalContextLength: 8192,
} as const;

const lengthMatters = [
  { type: "dynamic", factor: 3, originalContextLength: 10 },
  {
    type: "longrope",
    shortFactors: [1, 2],
    longFactors: [4, 8],
    attentionFactor: 1,
    originalContextLength: 10,
  },
] as const satisfies RopeScaling[];

test("theta to the power of -2i / width", () => {
  // 10000^0, 10000^-1/2, and for width 6 and theta 1000: 1000^0, 1000^-1/3, 1000^-2/3.
  expect([...frequencies(4, 10000)]).toEqual([1, 0.01]);
  expect(largestError(frequencies(6, 1000), [1, 0.1, 0.01])).toBeLessThan(1e-15);
});

test("linear scaling stretches every wavelength", () => {
  expect([...frequencies(4, 10000, { type: "linear", factor: 4 })]).toEqual([0.25, 0.0025]);
});

describe("Llama 3's scaling", () => {
  test("by hand", () => {
    // A head of width 2 has frequency 1, which turns c / 2π times in a context of c.
    const at = (turns: number) => frequencies(2, 10000, { ...llama3, originalContextLength: turns * 2 * Math.PI })[0];
    expect(at(0.5)).toBe(1 / 8); // below low: stretched
    expect(at(5)).toBe(1); // above high: kept
    // Between, (turns - 1) / (4 - 1) is kept: at 2 turns 1/3 of 1 and 2/3 of 1/8.
    expect(at(2)).toBeCloseTo(5 / 12, 14);
    // Without jumps at the borders.
    expect(at(1.000001)).toBeCloseTo(1 / 8, 5);
    expect(at(3.999999)).toBeCloseTo(1, 5);
  });

  test("the formula in terms of wavelengths, as transformers has it", () => {
    const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContextLength: context } = llama3;
    const plain = frequencies(128, 500000);
    const scaled = frequencies(128, 500000, llama3);
    const kinds = new Set<string>();
    plain.forEach((frequency, column) => {
      const wavelength = (2 * Math.PI) / frequency;
      const smooth = (context / wavelength - low) / (high - low);
      const [kind, expected] =
        wavelength < context / high
          ? ["kept", frequency]
          : wavelength > context / low
            ? ["stretched", frequency / factor]
            : ["between", ((1 - smooth) * frequency) / factor + smooth * frequency];
      kinds.add(kind as string);
      expect(scaled[column]! / (expected as number)).toBeCloseTo(1, 12);
    });
    expect(kinds).toEqual(new Set(["kept", "stretched", "between"]));
  });
});

test("long sequences have other frequencies where their length matters, and then only", () => {
  const [dynamic, longrope] = lengthMatters;
  // Twice the context: theta grows by 3 · 2 - 2 = 4 to the power of 4 / (4 - 2): to 16 times.
  expect(largestError(frequencies(4, 10000, dynamic, 20), [1, 0.0025])).toBeLessThan(1e-15);
  expect([...frequencies(4, 10000, longrope, 10)]).toEqual([1, 0.005]);
  expect([...frequencies(4, 10000, longrope, 11)]).toEqual([0.25, 0.00125]);
  for (const ropeScaling of [undefined, llama3, ...lengthMatters]) {
    const rope = { rotaryWidth: 4, ropeTheta: 10000, ropeScaling };
    for (const [one, other] of [
      [3, 10],
      [10, 11],
      [11, 12],
    ] as const) {
      const isSame = String(rotaryFrequencies(rope, one)) === String(rotaryFrequencies(rope, other));
      expect(frequencyLength(rope, one) === frequencyLength(rope, other)).toBe(isSame);
    }
  }
});

test("frequencies fall, whatever the width, theta and scaling", () => {
  const yarn = { type: "yarn", attentionFactor: 1, betaFast: 32, betaSlow: 1, truncate: true } as const;
  const scalings = fc.constantFrom<RopeScaling | undefined>(
    undefined,
    { type: "linear", factor: 3 },
    lengthMatters[0],
    llama3,
    { ...yarn, factor: 4, originalContextLength: 2048 },
    { ...yarn, factor: 4, originalContextLength: 2048, truncate: false },
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 64 }),
      fc.double({ min: 2, max: 1e6, noNaN: true }),
      scalings,
      fc.integer({ min: 1, max: 100 }),
      (half, theta, scaling, length) => {
        const all = [...frequencies(2 * half, theta, scaling, length)];
        expect(all).toHaveLength(half);
        expect(all).toEqual(all.toSorted((a, b) => b - a));
      },
    ),
  );
});
