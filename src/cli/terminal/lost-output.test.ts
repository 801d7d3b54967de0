import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const lostOutput = fileURLToPath(new URL("lost-output.ts", import.meta.url));

/**
 * A process that writes a line, loses the readers of its streams, writes some more, and says by its
 * exit code how far it got.
 */
async function withoutReaders(before: string, streams: readonly ("stdout" | "stderr")[]): Promise<number | null> {
  const work = `
    import { endWithReader, outliveReaders } from ${JSON.stringify(lostOutput)};
    import { setTimeout } from "node:timers/promises";
    outliveReaders();
    ${before}
    console.log("out");
    console.error("err");
    await new Promise((resolve) => process.stdin.once("data", resolve));
    for (let i = 0; i < 20; i++) {
      console.log("more");
      console.error("more");
      process.stderr.write("more");
      await setTimeout(5);
    }
    process.exit(42);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", work]);
  await Promise.all([once(child.stdout, "data"), once(child.stderr, "data")]);
  for (const stream of streams) child[stream].destroy();
  child.stdin.write("go\n");
  const [code] = (await once(child, "exit")) as [number | null];
  return code;
}

test.each<[string, readonly ("stdout" | "stderr")[], string, number]>([
  ["work that makes files goes on", ["stdout", "stderr"], "", 42],
  ["what makes only output ends quietly with it", ["stdout"], "endWithReader();", 141],
  ["but not for want of a reader of its messages", ["stderr"], "endWithReader();", 42],
])("%s", async (_, streams, before, code) => {
  expect(await withoutReaders(before, streams)).toBe(code);
});
