import { join } from "node:path";
import { expect, test } from "vitest";
import { pairRecords, temporaryFolder, writeJsonLines } from "../../../test/helpers/runs.ts";
import { writeByteModel } from "../../generate/testing/byte-model.ts";
import { runHere, runInterrupted } from "../testing/run-here.ts";

test("the help names every objective over pairs", async () => {
  const { code, out } = await runHere("evaluate", "--help");
  expect(code).toBe(0);
  expect(out.replace(/\s+/g, " ")).toContain(
    "dpo, ipo, slic, tdpo1, tdpo2 or tis-dpo, instead of what the runs recorded",
  );
});

test("stopped by Ctrl-C, it says so", async () => {
  const folder = await temporaryFolder();
  const model = await writeByteModel(join(folder, "model"));
  const data = await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(4));
  const { code, out, error } = await runInterrupted("evaluate", model, "--data", data);
  expect([code, out]).toEqual([130, "stopped\n"]);
  expect(error).toContain("\nstopping (press Ctrl-C again to stop at once)\n");
});
