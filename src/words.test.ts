import { expect, test } from "vitest";
import { counted, grouped, mebibytes, millions, oneOf, percent } from "./words.ts";

test("numbers as one reads them", () => {
  expect([grouped(5000), grouped(12.4)]).toEqual(["5,000", "12"]);
  expect([counted(1, "pair"), counted(2, "pair"), counted(2, "is", "are")]).toEqual(["1 pair", "2 pairs", "2 are"]);
  expect([260_032, 5_400_000, 134e6, 1.24e9].map(millions)).toEqual([
    "260,032",
    "5.4 million",
    "134 million",
    "1.24 billion",
  ]);
  expect([1, 630 * 2 ** 20, 3.5 * 2 ** 30].map(mebibytes)).toEqual(["1 MiB", "630 MiB", "3.5 GiB"]);
});

test("words to choose from", () => {
  expect([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(oneOf)).toEqual(["", "a", "a or b", "a, b or c"]);
});

test("shares are whole only where they are", () => {
  expect([0, 1, 0.5, 0.9237].map(percent)).toEqual(["0 %", "100 %", "50 %", "92.4 %"]);
  expect([0.999999, 0.000001, 0.9991].map(percent)).toEqual(["99.99 %", "0.01 %", "99.91 %"]);
});
