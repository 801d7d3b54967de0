import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UserError } from "./errors.ts";
import { Random } from "./random.ts";

const draw = <Value>(count: number, next: () => Value): Value[] => Array.from({ length: count }, next);

test("gives the numbers of the authors' own xoshiro128starstar.c", () => {
  const random = new Random([1, 2, 3, 4]);
  expect(draw(10, () => random.nextWord())).toEqual([
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ]);
});

describe("streams", () => {
  test("the same seed and path give the same numbers, any other gives others", () => {
    const words = (...path: (string | number)[]) => {
      const random = Random.from(7, ...path);
      return draw(4, () => random.nextWord());
    };
    expect(words("order", 1)).toEqual(words("order", 1));
    const others = [words(), words("order"), words("order", 2), words("order", 11), words("order1"), words("1", 1)];
    expect(new Set([words("order", 1), ...others].map(String)).size).toBe(7);
  });

  test("a generator continues from a state that went through JSON", () => {
    const random = Random.from(3);
    draw(5, () => random.normal());
    const resumed = new Random(JSON.parse(JSON.stringify(random.state)));
    expect(draw(5, () => resumed.next())).toEqual(draw(5, () => random.next()));
  });

  test.each([-1, 1.5, Number.NaN, 2 ** 53])("the seed %d is refused", (seed) => {
    expect(() => Random.from(seed)).toThrow(UserError);
  });

  test.each([[[0, 0, 0, 0]], [[1, 2, 3, -4]], [[1, 2, 3, 4.5]], [[1, 2, 3]]])("the state %j is refused", (state) => {
    expect(() => new Random(state as unknown as [number, number, number, number])).toThrow(/four 32-bit numbers/);
  });
});

describe("distributions", () => {
  test("next() is uniform over [0, 1)", () => {
    const random = Random.from(1);
    const draws = draw(20_000, () => random.next());
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws)).toBeLessThan(1);
    const tenths = draws.reduce(
      (counts, value) => counts.with(Math.floor(value * 10), counts[Math.floor(value * 10)]! + 1),
      Array(10).fill(0),
    );
    // Chi squared with 9 degrees of freedom: above 27.9 once in a thousand seeds.
    expect(tenths.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0)).toBeLessThan(27.9);
  });

  test("normal() has mean 0 and variance 1", () => {
    const random = Random.from(2);
    const draws = draw(20_000, () => random.normal());
    const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
    const variance = draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / draws.length;
    expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(20_000));
    expect(Math.abs(variance - 1)).toBeLessThan(4 * Math.sqrt(2 / 20_000));
  });

  test("integer() stays below its bound and refuses bounds it cannot serve", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 2 ** 31 - 1 }), (seed, bound) => {
        const value = Random.from(seed).integer(bound);
        expect(value >= 0 && value < bound && Number.isInteger(value)).toBe(true);
      }),
    );
    expect(Random.from(1).integer(2 ** 32)).toBeLessThan(2 ** 32);
    for (const bound of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => Random.from(1).integer(bound)).toThrow(RangeError);
  });

  test("shuffle() reaches all six orders of three items about equally often", () => {
    const random = Random.from(5);
    const counts = new Map<string, number>();
    for (let round = 0; round < 6000; round++) {
      const order = random.shuffle([1, 2, 3]).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120);
  });
});
