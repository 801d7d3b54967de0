/** Pairs of two equal answers are counted, and have no part in the training. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { pairRecords, temporaryFolder, trainTiny, weightsHash, writeJsonLines } from "./helpers/runs.ts";

test.each(["dpo", "tdpo2"])("pairs that are said to teach nothing move nothing (%s)", async (name) => {
  const folder = await temporaryFolder();
  const base = join(folder, "base");
  const pairs = pairRecords(8);
  const begin = " equal to where it is cut";
  const same = [1, 2, 3].map((index) => ({ prompt: `Same ${index}:`, chosen: begin, rejected: `${begin}, different` }));
  const files = {
    pairs: await writeJsonLines(join(folder, "pairs.jsonl"), pairs),
    mixed: await writeJsonLines(join(folder, "mixed.jsonl"), [same[0], ...pairs, same[1], same[2]]),
    same: await writeJsonLines(join(folder, "same.jsonl"), same),
  };
  await trainTiny(folder, { output: base, steps: 2 });
  const run = (train: string) =>
    trainTiny(folder, {
      model: base,
      output: `${train}.run`,
      data: { train, maxLength: 16 },
      objective: { name },
      steps: 3,
    });
  const [plain, mixed] = [await run(files.pairs), await run(files.mixed)];
  expect(mixed.warnings).toContain(
    "3 training pairs have two answers of the same tokens: they teach nothing and are left out",
  );
  expect(await weightsHash(mixed.result.model!)).toBe(await weightsHash(plain.result.model!));
  await expect(run(files.same)).rejects.toThrow("all training pairs have two answers of the same tokens");
});
