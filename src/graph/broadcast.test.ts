import { expect, test } from "vitest";
import { broadcastShapes, broadcastStrides, walk } from "./broadcast.ts";
import type { Shape } from "./tensor.ts";

test.each<[Shape, Shape, Shape]>([
  [[], [], []],
  [[2, 3], [], [2, 3]],
  [[2, 3], [3], [2, 3]],
  [
    [2, 1],
    [1, 3],
    [2, 3],
  ],
  [
    [5, 1, 3],
    [4, 1],
    [5, 4, 3],
  ],
  [["n", 3], [3], ["n", 3]],
  [
    ["n", 1],
    ["n", 3],
    ["n", 3],
  ],
  [["n"], [1], ["n"]],
])("%j and %j broadcast to %j, in both orders", (a, b, expected) => {
  expect(broadcastShapes(a, b)).toEqual(expected);
  expect(broadcastShapes(b, a)).toEqual(expected);
});

test.each<[Shape, Shape]>([
  [[2], [3]],
  [[2, 3], [2]],
  [["n"], ["m"]],
  [["n"], [3]],
])("%j and %j do not broadcast", (a, b) => {
  expect(() => broadcastShapes(a, b)).toThrow("do not broadcast");
  expect(() => broadcastShapes(b, a)).toThrow("do not broadcast");
});

test("a walk visits every element of the result beside those it comes from", () => {
  const visited: number[][] = [];
  const shape = [2, 3];
  const strides = [broadcastStrides([2, 1], shape), broadcastStrides([3], shape)] as const;
  walk(shape, strides, (...indices) => visited.push(indices));
  expect(visited).toEqual([
    [0, 0, 0],
    [1, 0, 1],
    [2, 0, 2],
    [3, 1, 0],
    [4, 1, 1],
    [5, 1, 2],
  ]);
});

test.each([
  [[], 1],
  [[0], 0],
  [[3, 0], 0],
])("a walk over %j makes %d visits", (shape, visits) => {
  let count = 0;
  const strides = broadcastStrides(shape, shape);
  walk(shape, [strides, strides], () => count++);
  expect(count).toBe(visits);
});
