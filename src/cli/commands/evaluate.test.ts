import { join } from "node:path";
import { expect, test } from "vitest";
import { pairRecords, temporaryFolder, writeJsonLines } from "../../../test/helpers/runs.ts";
import { writeByteModel } from "../../generate/testing/byte-model.ts";
import { runHere, runInterrupted } from "../testing/run-here.ts";

test("the help says where the objectives are listed, and has every number of theirs", async () => {
  const { code, out } = await runHere("evaluate", "--help");
  expect(code).toBe(0);
  expect(out.replace(/\s+/g, " ")).toContain("one over pairs (`tokenwise methods` lists them), instead of");
  for (const option of ["beta", "alpha", "gamma", "lambda", "tau", "label-smoothing", "delta"])
    expect(out).toContain(`--${option} <number>`);
});

test("stopped by Ctrl-C, it says so", async () => {
  const folder = await temporaryFolder();
  const model = await writeByteModel(join(folder, "model"));
  const data = await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(4));
  const { code, out, error } = await runInterrupted("evaluate", model, "--data", data);
  expect([code, out]).toEqual([130, "stopped\n"]);
  expect(error).toContain("\nstopping (press Ctrl-C again to stop at once)\n");
});
