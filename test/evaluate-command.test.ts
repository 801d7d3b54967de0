/** `tokenwise evaluate` from the command line. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Evaluation } from "../src/evaluate/evaluate.ts";
import { pairRecords, temporaryFolder, timeless, trainTiny, writeJsonLines } from "./helpers/runs.ts";

const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));

function tokenwise(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", main, "evaluate", ...args], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined },
  });
  return { status, stdout, stderr };
}

test("a table, a line of JSON, and errors", async () => {
  const folder = await temporaryFolder();
  const train = await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(12));
  const settings = { objective: { name: "tdpo2", beta: 0.5 }, data: { train, heldOut: 4 } };
  const { recipe, metrics: records } = await trainTiny(folder, settings);
  const { output } = recipe;
  const model = join(output, "model");

  const table = tokenwise(output, model);
  expect(table.status).toBe(0);
  expect(table.stderr).toMatch(
    /^data: 12 pairs of texts\n4 held-out examples; .*\nthe first example as tokens .*\n {2}prompt .*\n {2}chosen .*\n {2}rejected .*\n$/,
  );
  const lines = table.stdout.trimEnd().split("\n");
  expect(new Set(lines.map(({ length }) => length)).size).toBe(1);
  expect(lines[0]!.trim().split(/ +/)).toEqual([output, model]);
  expect(table.stdout).toMatch(/^reward accuracy +[\d.]+ +–$/m);
  expect(table.stdout).not.toContain("\x1b");

  const sampling = ["--samples", "2", "--prompts-limit", "3", "--max-new-tokens", "5", "--seed", "1"];
  const json = tokenwise(output, "--json", ...sampling);
  expect(json.status).toBe(0);
  expect(json.stdout.split("\n")).toHaveLength(2);
  const [evaluation, ...others] = JSON.parse(json.stdout) as Evaluation[];
  expect(others).toEqual([]);
  const { split: _, step: __, epoch: ___, examples, ...recorded } = timeless(records).at(-1)!;
  expect(evaluation).toMatchObject({
    model: output,
    objective: { name: "tdpo2", beta: 0.5, alpha: 0.5 },
    reference: `${output} before training`,
    examples,
    metrics: { "samples/prompts": 3 },
  });
  for (const [name, value] of Object.entries(recorded)) {
    expect(evaluation!.metrics[name], name).toBeCloseTo(value as number, 6);
  }
  expect(evaluation!.metrics["samples/entropy"]).toBeGreaterThan(0);
  expect(evaluation!.metrics["samples/seq_kl"]).toBeGreaterThan(0);

  expect(tokenwise(output, "--beta", "x")).toMatchObject({ status: 2, stdout: "" });
  const refused = tokenwise(model);
  expect(refused).toEqual({
    status: 2,
    stdout: "",
    stderr: `error: ${model}: a model folder brings no data; give pairs with --data\n`,
  });
});
