import pc from "picocolors";
import { expect, test } from "vitest";
import type { ShownToken } from "../../show/shown-pair.ts";
import { weightsLegend, weightsText } from "./weights-terminal.ts";

const [plain, colors] = [pc.createColors(false), pc.createColors(true)];
const scale = { most: 4, linear: false };

const shown = (text: string, weight: number): ShownToken => ({
  ...{ text, token: 1, weight, logRatio: 0, positiveLogp: -1, negativeLogp: -1 },
});

const pair = {
  number: 3,
  prompt: "How was it?\nTell me.",
  chosen: [shown("It", 1.04), shown(" was", 0.5), shown(" good", 4), shown(".\n", 2), shown("\x1b[2J", 1)],
  rejected: [shown("Bad", Number.NaN)],
};

test("without colours, weights other than 1 are told behind their tokens", () => {
  expect(weightsText(pair, scale, plain)).toBe(
    `Pair 3
    How was it?
    Tell me.
  chosen  5 tokens, mean weight 1.71
    It was⟨0.50⟩ good⟨4.00⟩.↵⟨2.00⟩
    ␛[2J
  rejected  1 token
    Bad`,
  );
  expect(weightsLegend(scale, plain)).toContain("⟨…⟩");
});

test("with colours, they are backgrounds, and none where they are close to 1", () => {
  const text = weightsText(pair, scale, colors);
  expect(text).toContain(
    "    It\x1b[30;48;5;117m was\x1b[0m\x1b[30;48;5;196m good\x1b[0m\x1b[30;48;5;215m.↵\x1b[0m\n    ␛[2J\n",
  );
  expect(text).toContain("\n    \x1b[2mTell me.\x1b[22m\n");
  expect(text).not.toMatch(/NaN|⟨/);
  expect(weightsLegend(scale, colors)).toContain("\x1b[30;48;5;196m ≥ 4 \x1b[0m");
});

test("a pair without a prompt has no line for it", () => {
  expect(weightsText({ ...pair, prompt: "" }, scale, plain)).toMatch(/^Pair 3\n {2}chosen/);
});
