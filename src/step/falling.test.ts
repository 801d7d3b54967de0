import { expect, test } from "vitest";
import { FallingWatch } from "./falling.ts";

/** The steps, from 1, at which a watch warns. */
function warnings(steps: number, logRatio: (step: number) => number): number[] {
  const watch = new FallingWatch();
  return Array.from({ length: steps }, (_, index) => index + 1).filter((step) => watch.observe(logRatio(step)));
}

test("warns once of a log-ratio that falls steadily below zero", () => {
  // Four blocks of ten steps make three falls.
  expect(warnings(200, (step) => -step)).toEqual([40]);
  // Falling all the time, but below zero only from step 61 on.
  expect(warnings(200, (step) => 60 - step)).toEqual([70]);
});

test("does not warn of what rises, stays, or stays above zero", () => {
  expect(warnings(200, (step) => step - 500)).toEqual([]);
  expect(warnings(200, () => -3)).toEqual([]);
  expect(warnings(200, (step) => 500 - step)).toEqual([]);
});

test("noise within ten steps is averaged away, and a rise in between begins anew", () => {
  expect(warnings(60, (step) => -step + (step % 2 === 0 ? 20 : -20))).toEqual([40]);
  expect(warnings(60, (step) => (Math.ceil(step / 10) === 3 ? 0 : -step))).toEqual([60]);
});

test("says what fell by how much, and what to do", () => {
  const watch = new FallingWatch();
  const said = Array.from({ length: 40 }, (_, step) => watch.observe(-0.1 * step)).find(Boolean);
  expect(said).toMatch(/chosen answers is falling.*-0\.45 to -3\.45 nats in 30 steps.*lower learning rate/);
});
