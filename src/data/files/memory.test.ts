import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createGzip } from "node:zlib";
import { expect, test } from "vitest";

const run = promisify(execFile);

test("data that do not fit into memory are a clear error, not the end of the process", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-memory-"));
  const file = join(folder, "many.jsonl.gz");
  const record = `${JSON.stringify({ text: "all work and no play ".repeat(20) })}\n`.repeat(1000);
  await pipeline(Readable.from(Array.from({ length: 700 }, () => record)), createGzip(), createWriteStream(file));
  const reader = fileURLToPath(new URL("./read.ts", import.meta.url));
  const program = `import { readRecords } from ${JSON.stringify(reader)};
    const kept = [];
    try {
      for await (const { fields } of readRecords(${JSON.stringify(file)})) kept.push(fields.text + " ");
      console.log("read");
    } catch (error) { console.log(error.name, error.message); }`;
  const options = ["--max-old-space-size=150", "--import", "tsx", "--input-type=module", "--eval", program];
  const { stdout } = await run(process.execPath, options);
  await rm(folder, { recursive: true });
  expect(stdout).toMatch(
    /^UserError .*many\.jsonl\.gz:\d+: the data do not fit into memory: .*`data\.limit`.*-size=\d+/,
  );
});
