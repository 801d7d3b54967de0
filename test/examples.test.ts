/**
 * The examples run as a user would run them: against the built package, from the repository's
 * folder.
 */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);
const outputs: Record<string, RegExp> = {
  "train-from-object.ts":
    /^held-out accuracy 0\.5\nstep 1: loss 0\.6931\n[\s\S]*step 6: [\s\S]*model: runs\/example\/model\n$/,
  "own-objective.ts": /split: 'evaluation'[\s\S]*'rewards\/accuracies'|split: 'evaluation'[\s\S]*loss: \d/,
  "score-pairs.ts": /^I watched this movie last night and\n {2}-\d+\.\d\d: .* \|/,
  "compare-runs.ts": /^runs\/compare-dpo\/model: accuracy [\s\S]*runs\/compare-tdpo2\/model: accuracy 0\.\d+, KL \d/,
};

// Compiling alone leaves the libraries of other running tests in place.
beforeAll(
  () => run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], { cwd: root }),
  300_000,
);

test("each example is tested", () => {
  expect(
    readdirSync(`${root}/examples`)
      .filter((name) => name.endsWith(".ts"))
      .sort(),
  ).toEqual(Object.keys(outputs).sort());
});

test.each(Object.entries(outputs))("%s", { timeout: 300_000 }, async (example, output) => {
  const { stdout } = await run(process.execPath, ["--import", "tsx", `examples/${example}`], { cwd: root });
  expect(stdout).toMatch(output);
});
