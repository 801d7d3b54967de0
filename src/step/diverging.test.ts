import { expect, test } from "vitest";
import { DivergenceWatch } from "./diverging.ts";

/** What a watch says of losses: the steps, from 1, at which it warns, and its words at the end. */
function said(losses: readonly number[], indifference: number, hasReference = true) {
  const watch = new DivergenceWatch(hasReference);
  const steps = losses.flatMap((loss, index) => (watch.observe(loss, () => indifference) ? [index + 1] : []));
  return { steps, end: watch.atEnd() };
}

const repeated = (count: number, loss: number) => Array<number>(count).fill(loss);

test.each([
  ["dpo", Math.log(2), 1.5],
  ["ipo", 25, 60],
  ["slic", 1, 2.2],
])("%s: ten steps at twice the loss of indifference are told once", (_, start, high) => {
  expect(said([...repeated(20, start), ...repeated(30, high)], start).steps).toHaveLength(1);
  expect(said([...repeated(20, start), ...repeated(30, start * 1.5)], start).steps).toEqual([]);
});

test("one step far out of range is told at once", () => {
  expect(said([0.7, 931_799, 0.7], Math.log(2)).steps).toEqual([2]);
});

test("one hard pair among easy ones is not", () => {
  const noisy = Array.from({ length: 100 }, (_, index) => (index % 10 === 3 ? 6 : 0.2));
  expect(said([Math.log(2), ...noisy], Math.log(2))).toEqual({ steps: [], end: undefined });
});

test("without a reference, losses far above the best ones are told", () => {
  const uniform = Math.log(50_000);
  expect(said([...repeated(30, 2.5), ...repeated(30, 8.2)], uniform, false).steps).toHaveLength(1);
  expect(said([...repeated(30, 2.5), ...repeated(30, 4)], uniform, false).steps).toEqual([]);
  // A new model begins a little above a uniform guess.
  expect(said([...repeated(30, uniform + 0.5), ...repeated(30, 7)], uniform, false).steps).toEqual([]);
});

test("a loss that begins at zero, or below, is measured by what it begins with", () => {
  expect(said(repeated(40, 0), 0)).toEqual({ steps: [], end: undefined });
  expect(said([...repeated(20, -1), ...repeated(20, 5)], 0).steps).toHaveLength(1);
});

test("a loss that is a difference about zero is measured by how far a step's losses lie apart", () => {
  const watched = (losses: readonly number[]) => {
    const watch = new DivergenceWatch(false);
    return losses.flatMap((loss, index) => (watch.observe(loss, () => 1e-19, 0.05) ? [index + 1] : []));
  };
  expect(watched([0.003, 0.02, -0.02, 0.01, ...repeated(20, 0.015)])).toEqual([]);
  expect(watched([0.003, ...repeated(20, 0.1)])).toHaveLength(1);
  const watch = new DivergenceWatch(false);
  watch.observe(0.003, () => 1e-19, 0.05);
  watch.evaluated(0, { loss: -0.0082, "rewards/accuracies": 0.5 });
  watch.evaluated(1, { loss: -0.0081, "rewards/accuracies": 0.5 });
  expect(watch.atEnd()).toBeUndefined();
});

test("at the end, the last steps are compared with the first", () => {
  expect(said([0.7, 1.1, 1.2], Math.log(2)).end).toMatch(/worse than the start.*loss 0\.7 to 1\.15.*learningRate/);
  expect(said([0.7, 0.72, 0.69], Math.log(2)).end).toBeUndefined();
  expect(said([0.7], Math.log(2)).end).toBeUndefined();
});

test("a resumed run is compared with what it began with", () => {
  const watch = new DivergenceWatch(true, { loss: 0.7, evaluation: { loss: 0.7 } });
  for (const loss of [1.1, 1.2, 1.2]) watch.observe(loss, () => Math.log(2));
  expect(watch.atEnd()).toMatch(/training data \(loss 0\.7 to 1\.2\)/);
  watch.evaluated(9, { loss: 0.9 });
  expect(watch.atEnd()).toMatch(/held-out examples \(loss 0\.7 to 0\.9\)/);
});

test("evaluations count instead of training losses, and accuracy counts beside the loss", () => {
  const ended = (after: Record<string, number>) => {
    const watch = new DivergenceWatch(true);
    watch.evaluated(0, { loss: 0.7, "plain_rewards/accuracies": 0.5, "rewards/accuracies": 0.9 });
    for (const loss of [0.7, 2, 2]) watch.observe(loss, () => Math.log(2));
    watch.evaluated(3, after);
    return watch.atEnd();
  };
  const better = { loss: 0.6, "plain_rewards/accuracies": 0.75, "rewards/accuracies": 0.8 };
  expect(ended(better)).toBeUndefined();
  expect(ended({ ...better, loss: 0.8 })).toMatch(/\(loss 0\.7 to 0\.8\)/);
  expect(ended({ ...better, "plain_rewards/accuracies": 0.25 })).toMatch(/\(accuracy 0\.5 to 0\.25\)/);
});
