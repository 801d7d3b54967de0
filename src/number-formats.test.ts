import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocate, bytesOf, dtypeBytes, dtypeOf, firstNonFinite, toBfloat16, toFloat32 } from "./number-formats.ts";

const bitsOf = (value: number) => new Uint32Array(new Float32Array([value]).buffer)[0]!;
const floatOf = (bits: number) => new Float32Array(new Uint32Array([bits]).buffer)[0]!;
const round = (value: number) => {
  const into = new Uint16Array(1);
  toBfloat16(new Float32Array([value]), into);
  return into[0]!;
};

describe("toFloat32", () => {
  test.each([
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3c00, 1],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
  ])("float16 %i is %d", (pattern, value) => {
    const into = new Float32Array(1);
    toFloat32("F16", new Uint16Array([pattern]), into);
    expect(into[0]).toBe(value);
  });

  test("bfloat16 is the upper half of float32, into a view that starts late", () => {
    const whole = new Float32Array(3);
    toFloat32("BF16", new Uint16Array([0x3f80, 0xc049]), whole.subarray(1));
    expect([...whole]).toEqual([0, 1, -3.140625]);
  });

  test("float64 is rounded, float32 copied", () => {
    const into = new Float32Array(1);
    toFloat32("F64", new Float64Array([0.1]), into);
    expect(into[0]).toBe(Math.fround(0.1));
    toFloat32("F32", new Float32Array([3]), into);
    expect(into[0]).toBe(3);
  });
});

describe("toBfloat16", () => {
  test.each([
    ["exact", 0x3f800000, 0x3f80],
    ["below half", 0x3f807fff, 0x3f80],
    ["half, even below", 0x3f808000, 0x3f80],
    ["half, even above", 0x3f818000, 0x3f82],
    ["above half", 0x3f808001, 0x3f81],
    ["carry into the exponent", 0x3fffffff, 0x4000],
    ["negative", 0xbf818000, 0xbf82],
    ["infinity", 0x7f800000, 0x7f80],
    ["overflow", 0x7f7fffff, 0x7f80],
  ])("%s", (_, bits, expected) => expect(round(floatOf(bits))).toBe(expected));

  test("NaN stays NaN", () => expect(floatOf(round(Number.NaN) << 16)).toBeNaN());

  test("gives the nearest, and is undone by toFloat32", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true, max: 2 ** 100, min: -(2 ** 100) }), (value) => {
        const pattern = round(value);
        const distance = (other: number) => Math.abs(floatOf((other << 16) >>> 0) - value);
        expect(distance(pattern)).toBeLessThanOrEqual(distance(bitsOf(value) >>> 16));
        expect(distance(pattern)).toBeLessThanOrEqual(distance((bitsOf(value) >>> 16) + 1));
        expect(round(floatOf((pattern << 16) >>> 0))).toBe(pattern);
      }),
    );
  });
});

describe("firstNonFinite", () => {
  test("finds nothing in the largest, smallest and signed numbers", () => {
    const values = [0, -0, 1e-45, -1e-45, 3.4028234663852886e38, -3.4028234663852886e38, 1];
    expect(firstNonFinite(new Float32Array(values))).toBe(-1);
    expect(firstNonFinite(new Float32Array())).toBe(-1);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "finds the first %d anywhere",
    (value) => {
      for (const index of [0, 1, 2, 3, 65_535, 65_536, 131_072, 131_074]) {
        const values = new Float32Array(131_076).subarray(1);
        values[131_074] = Number.NaN;
        values[index] = value;
        expect(firstNonFinite(values)).toBe(index);
      }
    },
  );
});

test("the dtype of an array, and the array of a dtype", () => {
  expect(dtypeOf(new Float32Array(1))).toBe("F32");
  expect(dtypeOf(new BigInt64Array(1))).toBe("I64");
  expect(dtypeOf(Buffer.from("text"))).toBe("U8");
  expect(dtypeOf(new Uint16Array(1))).toBe("U16");
  expect(allocate("BF16", 3)).toEqual(new Uint16Array(3));
  expect(dtypeBytes("F64")).toBe(8);
  expect([...bytesOf(new Uint16Array([1, 2, 3]).subarray(1))]).toEqual([2, 0, 3, 0]);
});
