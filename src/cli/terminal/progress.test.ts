import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { progressReporter } from "./progress.ts";
import { formatSeconds } from "./seconds.ts";

/** A stream that keeps what is written. */
function stream(options: { isTTY: boolean; colors?: boolean; columns?: number }) {
  const written: string[] = [];
  const fake = {
    ...{ isTTY: options.isTTY, columns: options.columns ?? 80, hasColors: () => options.colors ?? false },
    write: (text: string) => written.push(text) > 0,
  };
  return { out: fake as unknown as NodeJS.WriteStream, text: () => written.join("") };
}

const record = (step: number, split: "train" | "evaluation" = "train") => ({ split, step, loss: 1 / step, seconds: 3 });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("without a terminal", () => {
  test("plain lines, at most one in two seconds, and the last", () => {
    const { out, text } = stream({ isTTY: false });
    const reporter = progressReporter(out);
    reporter.note("12 training examples");
    for (let step = 1; step <= 9; step++) {
      reporter.record(record(step));
      reporter.progress({ activity: "train", done: step, total: 9, secondsLeft: 9 - step });
      vi.advanceTimersByTime(700);
    }
    reporter.progress({ activity: "evaluation", done: 2, total: 4 });
    reporter.record(record(9, "evaluation"));
    reporter.warn("look out");
    expect(text().split("\n")).toEqual([
      "12 training examples",
      "step 1: loss 1.0000",
      "step 4: loss 0.2500",
      "step 7: loss 0.1429",
      "step 9: loss 0.1111",
      "evaluation at step 9: loss 0.1111",
      "warning: look out",
      "",
    ]);
  });

  test("the last line is not said twice", () => {
    const { out, text } = stream({ isTTY: false });
    const reporter = progressReporter(out);
    reporter.record(record(1));
    reporter.progress({ activity: "train", done: 1, total: 1 });
    expect(text()).toBe("step 1: loss 1.0000\n");
  });
});

describe("an evaluation", () => {
  const metrics = { "rewards/accuracies": 0.75, "rewards/margins": 1, "seq_kl/chosen": 2, "logps/chosen": -12 };
  const evaluation = { ...record(5, "evaluation"), ...metrics };
  const all = "evaluation at step 5: loss 0.2000  accuracy 0.750  margin 1.000  KL chosen 2.00  logp chosen -12.0";
  test.each<[columns: number, expected: string]>([
    [all.length, all],
    [all.length - 1, all.slice(0, all.indexOf("  logp"))],
    [60, all.slice(0, all.indexOf("  margin"))],
    [10, all.slice(0, all.indexOf("  accuracy"))],
  ])("in %d columns", (columns, expected) => {
    const { out, text } = stream({ isTTY: true, columns });
    progressReporter(out).record(evaluation);
    expect(text()).toBe(`\r\u001b[K${expected}\n`);
  });

  test("is whole where there is no terminal", () => {
    const { out, text } = stream({ isTTY: false, columns: 10 });
    progressReporter(out).record(evaluation);
    expect(text()).toBe(`${all}\n`);
  });
});

describe("in a terminal", () => {
  test("one line that is redrawn, within its width", () => {
    const { out, text } = stream({ isTTY: true, columns: 60 });
    const reporter = progressReporter(out);
    reporter.record({ ...record(5), "rewards/accuracies": 0.75, "rewards/margins": 1, "logps/chosen": -12 });
    reporter.progress({ activity: "train", done: 5, total: 10, secondsLeft: 75 });
    const line = text().split("\r\u001b[K").at(-1)!;
    expect(line).toMatch(/^train \[=========={1} {10}\] 5\/10 1:15 left {2}loss 0\.2000/);
    expect(line).toHaveLength(59);
    expect(text()).not.toContain("\n");
    reporter.note("a note");
    expect(text().endsWith("\r\u001b[Ka note\n")).toBe(true);
    reporter.progress({ activity: "train", done: 10, total: 10 });
    expect(text().endsWith("\r\u001b[K")).toBe(true);
  });

  test("colours where the terminal shows them", () => {
    for (const colors of [true, false]) {
      const { out, text } = stream({ isTTY: true, colors });
      progressReporter(out).warn("look out");
      expect(text().replaceAll("\r\u001b[K", "").includes("\u001b[")).toBe(colors);
      expect(text()).toContain("warning: look out");
    }
  });
});

test.each([
  [0.4, "0:00"],
  [59.6, "1:00"],
  [125, "2:05"],
  [3723, "1:02:03"],
  [-1, "0:00"],
])("%d seconds are %s", (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});
