import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../../../test/helpers/runs.ts";
import { tokenIds } from "../../data/tokens/testing/token-ids.ts";
import { byteTokenizer, writeByteModel } from "../../generate/testing/byte-model.ts";
import { expectOneError, runHere } from "../testing/run-here.ts";

async function setUp() {
  const folder = await temporaryFolder();
  // In a run's folder, so that this works too.
  const model = await writeByteModel(join(folder, "run", "model"));
  const generate = (...args: string[]) => runHere("generate", join(folder, "run"), "--threads", "2", ...args);
  return { folder, model, generate };
}

test("one answer as it grows, many as JSON, the same by seed", async () => {
  const { folder, generate } = await setUp();
  const options = ["--max-new-tokens", "6", "--seed", "3"];
  const live = await generate("--prompt", "a\nb", ...options);
  expect(live).toMatchObject({ code: 0, error: "" });
  const prompts = join(folder, "prompts.jsonl");
  await writeFile(prompts, `${JSON.stringify({ prompt: "a\nb" })}\n{"prompt": ""}\n`);
  const many = await generate("--prompts", prompts, "--samples", "2", "--json", "--batch-size", "1", ...options);
  const answers = many.out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { prompt: string; text: string });
  expect(answers).toHaveLength(4);
  expect(answers[0]).toMatchObject({ prompt: "a\nb", sample: 0, tokens: 6, end: "length" });
  expect(answers[3]).toMatchObject({ prompt: "", sample: 1 });
  expect(live.out).toBe(`a\nb${answers[0]!.text}\n`);
  const plain = await generate("--prompts", prompts, "--samples", "2", ...options);
  expect(plain.out).toBe(answers.map(({ prompt, text }) => `${prompt}${text}\n\n`).join(""));
});

test("greedy is temperature 0, and options of sampling arrive", async () => {
  const { generate } = await setUp();
  const answer = async (...options: string[]) => (await generate("--prompt", "abc", "--json", ...options)).out;
  const greedy = await answer("--greedy");
  expect(await answer("--temperature", "0", "--seed", "9")).toBe(greedy);
  expect(await answer("--top-k", "1")).toBe(greedy);
  expect(await answer("--top-p", "0")).toBe(greedy);
  expect(await answer("--seed", "9")).not.toBe(greedy);
  const { text } = JSON.parse(greedy) as { text: string };
  const ascii = [...text].find((character) => /[ -~]/.test(character) && character !== "\\")!;
  expect(JSON.parse(await answer("--greedy", "--stop", "never there", ascii))).toMatchObject({
    text: text.slice(0, text.indexOf(ascii)),
    end: "stop string",
  });
});

test.each(["\\nabla f", "C:\\new\\table", "\\\\n", "a\nb", "$'x'"])(
  "the prompt %j is taken literally",
  async (prompt) => {
    const { generate } = await setUp();
    const { out } = await generate("--prompt", prompt, "--json", "--max-new-tokens", "1");
    expect(JSON.parse(out)).toMatchObject({ prompt });
  },
);

test("stop strings are taken literally, and options may stand before the model", async () => {
  const { folder } = await setUp();
  const run = join(folder, "run");
  const options = ["--json", "--max-new-tokens", "6", "--threads", "2", "--seed", "3"];
  const free = await runHere("generate", ...options, "--prompt", "a", run);
  expect(free.code).toBe(0);
  const stopped = await runHere("generate", ...options, "--stop", "\\n", "--prompt", "a", run);
  const { text } = JSON.parse(free.out) as { text: string };
  expect(JSON.parse(stopped.out)).toMatchObject({ text: text.split("\\n")[0]! });
});

test("bad input is one clear error", async () => {
  const { folder, model, generate } = await setUp();
  expectOneError(await generate(), /there is no prompt; give --prompt or --prompts/);
  expectOneError(await generate("--prompt", "x".repeat(48)), /prompt 1: has 48 tokens.*context of 48.*shorten it/);
  expectOneError(await generate("--prompts", join(folder, "none.txt")), /none\.txt: there is no such file/);
  expectOneError(await runHere("generate", join(folder, "nothing"), "--prompt", "a"), /no such model folder/);
  await rm(join(model, "tokenizer.json"));
  expectOneError(await generate("--prompt", "a"), /tokenizer\.json: there is no such file/);
});

test.each([
  ["--samples", "0"],
  ["--samples", ""],
  ["--temperature", "-1"],
  ["--temperature", "hot"],
  ["--top-p", "1.5"],
  ["--top-k", "2.5"],
  ["--seed", "-1"],
  ["--stop", ""],
])("%s %j is refused", async (...option) => {
  const { code, error } = await runHere("generate", "model", "--prompt", "a", ...option);
  expect(code).toBe(2);
  expect(error).toMatch(new RegExp(`^error: option '${option[0]}.*is invalid. It must`));
});

test("a tokenizer of bytes covers what the tests rely on", async () => {
  expect(await tokenIds(await byteTokenizer(), "a\nb")).toEqual([97, 10, 98]);
});
