import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { countedProgress } from "./counted-progress.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What is written for an update each second, from the first on. */
function updates(isTTY: boolean, counts: readonly number[], already = 0): string {
  let written = "";
  const out = { isTTY, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  const progress = countedProgress("answers", 40, { already, out });
  for (const count of counts) {
    vi.advanceTimersByTime(1000);
    progress.update(count);
  }
  progress.clear();
  return written;
}

test("nothing before the third second; in a terminal one line, redrawn and taken away", () => {
  const erase = "\r\x1b[K";
  expect(updates(true, [1])).toBe(erase);
  expect(updates(true, [1, 2, 30])).toBe(`${erase}answers: 2/40, 0:38 left${erase}answers: 30/40, 0:01 left${erase}`);
});

test("elsewhere a line every ten seconds", () => {
  const counts = Array.from({ length: 13 }, (_, index) => index + 1);
  expect(updates(false, counts)).toBe("answers: 2/40, 0:38 left\nanswers: 12/40, 0:28 left\n");
});

test("nothing is left when all is done", () => {
  expect(updates(false, [20, 40])).toBe("answers: 40/40\n");
});

test("what was done before does not count as speed", () => {
  expect(updates(false, [20, 20], 20)).toBe("answers: 20/40\n");
  expect(updates(false, [20, 22], 20)).toBe("answers: 22/40, 0:18 left\n");
});
