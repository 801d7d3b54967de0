import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { readPairs } from "../src/data/forms/pairs.ts";
import { loadTokenizer } from "../src/data/tokens/load-tokenizer.ts";
import { rustLibrary } from "../src/data/tokens/rust-library.ts";
import { typescriptLibrary } from "../src/data/tokens/typescript-library.ts";
import { median, rounded } from "./numbers.ts";
import { report } from "./report.ts";

interface Options {
  model: string;
  text?: string;
  browser: boolean;
  repeats: number;
  json: boolean;
}

/**
 * `bench tokenize`: tokens a second, on all cores; `RAYON_NUM_THREADS=1` in the environment makes
 * it one thread.
 */
export function tokenizeCommand(): Command {
  return new Command("tokenize")
    .description("time the tokenizer of a model folder over texts")
    .requiredOption("--model <folder>", "folder with a tokenizer.json")
    .option("--text <file>", "texts, one a line; the demo's pairs if absent")
    .option("--browser", "the library for browsers instead of the one for Node", false)
    .option("--repeats <count>", "timed runs, after one that is not; the median counts", Number, 3)
    .option("--json", "print one line of JSON", false)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const texts = options.text === undefined ? await demoTexts() : readFileSync(options.text, "utf8").split("\n");
  const tokenizer = await loadTokenizer(options.model, {}, options.browser ? typescriptLibrary() : rustLibrary());
  const requests = texts.map((text) => ({ text, continues: false }));
  const times: number[] = [];
  let tokens = 0;
  for (let repeat = 0; repeat <= options.repeats; repeat++) {
    const start = performance.now();
    const encoded = await tokenizer.encode(requests);
    tokens = encoded.reduce((sum, { length }) => sum + length, 0);
    if (repeat > 0) times.push((performance.now() - start) / 1000);
  }
  const seconds = median(times);
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  report({ characters, tokens, seconds: rounded(seconds), tokensPerSecond: rounded(tokens / seconds) }, options);
}

async function demoTexts(): Promise<string[]> {
  const { pairs } = await readPairs(fileURLToPath(new URL("../demo/pairs.jsonl", import.meta.url)));
  return pairs.flatMap(({ prompt, chosen, rejected }) => [prompt + chosen, prompt + rejected]);
}
