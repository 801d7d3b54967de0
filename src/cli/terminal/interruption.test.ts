import { spawn } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { untilInterrupted } from "./interruption.ts";

const interruption = fileURLToPath(new URL("interruption.ts", import.meta.url));

/**
 * A process whose work says when it begins and when it is told to stop, and never ends by itself.
 */
function start() {
  const work = `
    import { untilInterrupted } from ${JSON.stringify(interruption)};
    await untilInterrupted("stopping", (signal) => {
      signal.addEventListener("abort", () => console.log("told"));
      console.log("begun");
      return new Promise((resolve) => setTimeout(resolve, 1e9));
    });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", work]);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      said += text;
    });
  }
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", resolve);
  });
  const hears = (text: string) => vi.waitFor(() => expect(said).toContain(text), { timeout: 30_000 });
  return { child, ended, hears };
}

test.each(["SIGINT", "SIGTERM"] as const)(
  "the first %s is for the work, the second ends the process",
  async (signal) => {
    const { child, ended, hears } = start();
    await hears("begun");
    child.kill(signal);
    await hears("\nstopping (press Ctrl-C again to stop at once)\n");
    await hears("told");
    // npx passes on what the terminal sends as well.
    child.kill(signal);
    await setTimeout(600);
    expect(child.exitCode).toBeNull();
    child.kill(signal);
    expect(await ended).toBe(130);
  },
);

test("without a terminal, SIGHUP is for nobody", async () => {
  const { child, ended, hears } = start();
  await hears("begun");
  child.kill("SIGHUP");
  child.kill("SIGHUP");
  child.kill("SIGTERM");
  await hears("told");
  await setTimeout(600);
  child.kill("SIGTERM");
  expect(await ended).toBe(130);
});

test.each([true, undefined])("with a closed terminal (%s), SIGHUP ends the work once", async (isTTY) => {
  const before = process.stderr.isTTY;
  const out = process.stdout.isTTY;
  try {
    Object.assign(process.stderr, { isTTY });
    Object.assign(process.stdout, { isTTY: undefined });
    const aborted = await untilInterrupted("", async (signal) => {
      process.emit("SIGHUP");
      process.emit("SIGHUP");
      return signal.aborted;
    });
    expect(aborted).toBe(isTTY === true);
  } finally {
    Object.assign(process.stderr, { isTTY: before });
    Object.assign(process.stdout, { isTTY: out });
  }
});

test("work that has ended listens no more", async () => {
  const count = () => process.listenerCount("SIGINT");
  const before = count();
  expect(await untilInterrupted("", async () => count())).toBe(before + 1);
  await expect(untilInterrupted("", () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect(count()).toBe(before);
});
