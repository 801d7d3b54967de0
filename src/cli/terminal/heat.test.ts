import { expect, test } from "vitest";
import { heatText } from "./heat.ts";

const background = (color: number, text: string) => `\x1b[30;48;5;${color}m${text}\x1b[0m`;

test("the higher, the redder; below 0, the lower, the bluer; around 0, no colour", () => {
  const values = [0, 0.05, 0.5, 1, 2, -0.05, -0.5, -1, -2];
  const text = heatText(
    values.map((value) => ({ text: `${value}`, value })),
    1,
  );
  const warm = `${background(215, "0.5")}${background(196, "1")}${background(196, "2")}`;
  const cold = `${background(117, "-0.5")}${background(69, "-1")}${background(69, "-2")}`;
  expect(text).toBe(`00.05${warm}-0.05${cold}`);
});

test("empty texts and line breaks have no colour", () => {
  expect(heatText([{ text: "", value: 1 }], 1)).toBe("");
  expect(heatText([{ text: "a\n\nb", value: 1 }], 1)).toBe(`${background(196, "a")}\n\n${background(196, "b")}`);
});

test("values that are all 0 have no colour", () => {
  expect(heatText([{ text: "a", value: 0 }], 0)).toBe("a");
});
