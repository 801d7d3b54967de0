import { appendFile, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../../../test/helpers/runs.ts";
import { readPairs } from "../../data/forms/pairs.ts";
import { writeByteModel } from "../../generate/testing/byte-model.ts";
import { expectOneError, runHere } from "../testing/run-here.ts";

const texts = ["one", "two", "three, longer", "four", "five"];

/** A model, prompts, and a server that scores answers by their letters until it `fails`. */
async function setUp() {
  const folder = await temporaryFolder();
  const model = await writeByteModel(join(folder, "model"));
  const prompts = join(folder, "prompts.txt");
  await writeFile(prompts, texts.join("\n"));
  const state = { requests: 0, failsAt: Number.POSITIVE_INFINITY };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (++state.requests >= state.failsAt) return response.writeHead(500).end("broken");
    const { items } = JSON.parse(Buffer.concat(chunks).toString()) as { items: { response: string }[] };
    return response.end(JSON.stringify({ scores: items.map((item) => item.response.replace(/[^a-z]/gi, "").length) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const scorer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const pairs = (output: string, ...args: string[]) =>
    runHere(
      ...["pairs", model, "--prompts", prompts, "--output", join(folder, output), "--scorer", scorer, "--threads", "2"],
      ...["--max-new-tokens", "12", "--samples", "4", "--batch-size", "2", ...args],
    );
  return { folder, model, prompts, state, scorer, pairs, read: (name: string) => readFile(join(folder, name), "utf8") };
}

test("pairs that training reads, best before worst, and what became of the rest", async () => {
  const { folder, pairs } = await setUp();
  const { code, out } = await pairs("pairs.jsonl", "--margin", "2", "--pairs-per-prompt", "2");
  expect(code).toBe(0);
  const file = join(folder, "pairs.jsonl");
  const { pairs: read } = await readPairs(file);
  expect(read.length).toBeGreaterThan(2);
  for (const line of (await readFile(file, "utf8")).trimEnd().split("\n")) {
    const pair = JSON.parse(line) as Record<string, string> & { chosen_score: number; rejected_score: number };
    expect(Object.keys(pair)).toEqual(["prompt", "chosen", "rejected", "chosen_score", "rejected_score"]);
    expect(texts).toContain(pair.prompt);
    expect(pair.chosen_score - pair.rejected_score).toBeGreaterThanOrEqual(2);
  }
  expect(out).toMatch(/^5 prompts, 20 answers, \d+ duplicates, \d+ blank, \d+ cut .*\n\d+ pairs: .*pairs\.jsonl\n$/);
  expect(out).toContain(`\n${read.length} pairs: `);
  expect((await readdir(folder)).filter((name) => name.startsWith("pairs"))).toEqual(["pairs.jsonl"]);
  expectOneError(await pairs("pairs.jsonl"), /pairs\.jsonl: exists already/);
});

test("a run that was interrupted continues to the same result", async () => {
  const { folder, pairs, state, read } = await setUp();
  await pairs("whole.jsonl");
  state.failsAt = state.requests + 2;
  expectOneError(await pairs("parts.jsonl"), /the scorer answered with status 500: broken/);
  expect(await readdir(folder)).not.toContain("parts.jsonl");
  expect((await read("parts.jsonl.partial")).split("\n")).toHaveLength(1 + 2 + 1);
  // As if the process had been killed while it wrote the next batch.
  const [, line] = (await read("parts.jsonl.partial")).split("\n");
  await appendFile(join(folder, "parts.jsonl.partial"), `${line}\n{"prompt": "fo`);
  state.failsAt = Number.POSITIVE_INFINITY;
  expectOneError(await pairs("parts.jsonl"), /parts\.jsonl\.partial: holds the progress.*continue it with --resume/);
  expectOneError(
    await pairs("parts.jsonl", "--resume", "--seed", "1", "--top-k", "5"),
    /parts\.jsonl\.partial: was made with other settings: topK, seed/,
  );
  const before = state.requests;
  expect((await pairs("parts.jsonl", "--resume")).code).toBe(0);
  expect(state.requests - before).toBe(2);
  expect(await read("parts.jsonl")).toBe(await read("whole.jsonl"));
  expect(await readdir(folder)).not.toContain("parts.jsonl.partial");
});

test("where the margin leaves nothing, the answers stay for another margin", async () => {
  const { folder, pairs, state } = await setUp();
  expectOneError(await pairs("pairs.jsonl", "--margin", "1000"), /no pair was found \(5 prompts, .*5 prompts dropped/);
  expect(await readdir(folder)).not.toContain("pairs.jsonl");
  const before = state.requests;
  expect((await pairs("pairs.jsonl", "--resume")).code).toBe(0);
  expect(state.requests).toBe(before);
});

test("what fails at once leaves nothing behind", async () => {
  const { folder, model, prompts, pairs, state } = await setUp();
  const names = await readdir(folder);
  state.failsAt = 1;
  expectOneError(await pairs("pairs.jsonl"), /status 500/);
  expectOneError(await pairs("pairs.jsonl", "--resume"), /there is no unfinished run to continue/);
  expectOneError(await pairs("prompts.txt/pairs.jsonl"), /prompts\.txt: is a file, not a folder/);
  expectOneError(await pairs("pairs.jsonl", "--samples", "1"), /--samples: must be at least 2/);
  expectOneError(await pairs("pairs.jsonl", "--temperature", "0"), /--temperature: must be above 0/);
  expectOneError(
    await runHere("pairs", model, "--prompts", prompts, "--output", join(folder, "p.jsonl"), "--scorer", "mood"),
    /scorer: "mood" is no scorer/,
  );
  expect(await readdir(folder)).toEqual(names);
});

test("scores that may be those of other answers are not kept", async () => {
  const { folder, model, prompts, pairs } = await setUp();
  const twice = "command:while read -r line; do echo '{\"score\": 1}'; echo '{\"score\": -1}'; done";
  const command = (...args: string[]) =>
    runHere(
      ...["pairs", model, "--prompts", prompts, "--output", join(folder, "pairs.jsonl"), "--scorer", twice],
      ...["--max-new-tokens", "4", "--samples", "4", "--threads", "2", ...args],
    );
  for (const size of ["2", "16"]) {
    expectOneError(await command("--batch-size", size), /answered more lines than it was asked for/);
    expect((await readdir(folder)).filter((name) => name.startsWith("pairs"))).toEqual([]);
  }
  expect((await pairs("pairs.jsonl")).code).toBe(0);
});

test("no file holds a token of the scorer's URL", async () => {
  const { pairs, state, scorer, read } = await setUp();
  state.failsAt = 2;
  const secret = `${scorer.replace("http://", "http://me:hidden@")}?key=topsecret`;
  const { error } = await pairs("pairs.jsonl", "--scorer", secret);
  expect(error + (await read("pairs.jsonl.partial"))).not.toMatch(/hidden|topsecret/);
  state.failsAt = Number.POSITIVE_INFINITY;
  const other = secret.replace("topsecret", "another");
  expectOneError(await pairs("pairs.jsonl", "--scorer", other, "--resume"), /other settings: scorerTag/);
  expect((await pairs("pairs.jsonl", "--scorer", secret, "--resume")).code).toBe(0);
});
