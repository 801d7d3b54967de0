import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import pc from "picocolors";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../test/helpers/runs.ts";
import type { DemoExamples, DemoFigures } from "../../demo/demo.ts";
import { expectOneError, runHere, runInterrupted } from "../testing/run-here.ts";
import { demoText } from "./demo.ts";

const figures: DemoFigures = {
  heldOutPairs: 250,
  before: { accuracy: 0.5, ties: 1, seqKlChosen: 0, seqKlRejected: 0 },
  after: { accuracy: 0.8125, ties: 0, seqKlChosen: 1.256, seqKlRejected: 12.345 },
  freshSamples: 300,
  sentiment: { before: -0.125, after: 0.5, difference: 0.625, standardError: 0.0312 },
  seconds: 20.6,
  run: "runs/elsewhere",
  passed: true,
};

const examples: DemoExamples = {
  opening: "The film",
  before: [" was bad.", " was\n\nlong."],
  after: [" was\ngood.", " is great."],
  tokens: [" was", "\n", "good", ".", " so", " it", " is"].map((text, index) => ({ text, divergence: index / 4 })),
};

test("the help has an example", async () => {
  const { code, out } = await runHere("demo", "--help");
  expect(code).toBe(0);
  expect(out).toContain("\nExample:\n  tokenwise demo\n");
  expect(out).toContain('(default: "runs/demo")');
});

test("figures, reviews and tokens as text", () => {
  expect(demoText(figures, examples, pc.createColors(false))).toBe(`
after 21 seconds              before     after
accuracy on held-out pairs    50.0 %    81.3 %   250 pairs, ties one half
sentiment of fresh reviews     -0.13     +0.50   300 each, VADER's score from -1 to 1; +0.63 ± 0.03
sequential KL, chosen           0.00      1.26   nats per answer away from the base
sequential KL, rejected         0.00     12.35   (at most 10)

Before
  The film was bad.
  The film was long.

After
  The film was good.
  The film is great.

Where the model's mind was changed  KL(base || aligned) at each token of that review, in nats
  "is" 1.50  "it" 1.25  "so" 1.00  "." 0.75  "good" 0.50

What next
  runs/elsewhere holds the model, the recipe and metrics.jsonl. Try:

  npx tokenwise generate runs/elsewhere --prompt "This movie is" --samples 5
  npx tokenwise evaluate runs/elsewhere --samples 5
  npx tokenwise init path/to/your/model your-pairs.jsonl`);
});

test("with colours, the review shows where it was changed", () => {
  const text = demoText(figures, examples, pc.createColors(true));
  expect(text).toContain("\x1b[30;48;5;196m is\x1b[0m\n");
  expect(text).toContain("\x1b[1m    81.3 %\x1b[22m");
  const tokens = text.split("\n").find((line) => line.includes("196m"))!;
  expect(stripVTControlCharacters(tokens)).toBe("  The film was good. so it is");
});

test("stopped by Ctrl-C, it says so", async () => {
  const { code, out, error } = await runInterrupted("demo", "--output", join(await temporaryFolder(), "run"));
  expect(code).toBe(130);
  expect(out).toMatch(/\nstopped\n$/);
  expect(error).toContain("\nstopping (press Ctrl-C again to stop at once)\n");
});

test("a folder that holds something else is not replaced", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "notes"), "mine");
  expectOneError(await runHere("demo", "--output", folder), /: is not empty; choose another --output/);
  expect(await readdir(folder)).toEqual(["notes"]);
  expectOneError(await runHere("demo", "--output", join(folder, "notes")), /notes: is a file, not a folder/);
  expectOneError(await runHere("demo", "--threads", "0"), /option '--threads <count>' argument '0' is invalid/);
});
