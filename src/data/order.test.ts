import fc from "fast-check";
import { expect, test } from "vitest";
import { type DataPosition, epochOrder, examplesFrom } from "./order.ts";

function take(count: number, total: number, start?: DataPosition) {
  const stream = examplesFrom(count, 11, start);
  return Array.from({ length: total }, () => stream.next().value);
}

test("every epoch visits every example once, in an order of its own", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), fc.nat(50), (count, seed, epoch) => {
      expect([...epochOrder(count, seed, epoch)].sort((a, b) => a - b)).toEqual([...Array(count).keys()]);
    }),
  );
  expect(epochOrder(50, 1, 0)).toEqual(epochOrder(50, 1, 0));
  expect(epochOrder(50, 1, 0)).not.toEqual(epochOrder(50, 1, 1));
  expect(epochOrder(50, 1, 0)).not.toEqual(epochOrder(50, 2, 0));
});

test("a run resumed from any position sees what the unbroken run sees", () => {
  const unbroken = take(5, 17);
  for (const [done, { next }] of unbroken.entries()) {
    expect(take(5, 17 - done - 1, next)).toEqual(unbroken.slice(done + 1));
  }
});

test("a position at the end of an epoch means the start of the next", () => {
  expect(take(3, 1, { epoch: 0, index: 3 })).toEqual(take(3, 1, { epoch: 1, index: 0 }));
});

test("no examples is refused, rather than never returning", () => {
  expect(() => examplesFrom(0, 1).next()).toThrow(RangeError);
});
