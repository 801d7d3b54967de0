import { expect, test } from "vitest";
import { integers, rows } from "./engine.ts";
import { float64Engine } from "./float64.ts";
import { addRows, gatherRows, zeros } from "./rows.ts";

const engine = float64Engine();
const matrix = () => ({ shape: [4, 2], data: Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8) });

test("rows are a view on the same memory", () => {
  const whole = matrix();
  const view = rows(whole, 1, 3);
  expect(view).toEqual({ shape: [2, 2], data: Float64Array.of(3, 4, 5, 6) });
  view.data[0] = 30;
  expect(whole.data[2]).toBe(30);
  expect(rows(whole, 2, 2)).toEqual({ shape: [0, 2], data: new Float64Array() });
  expect(rows(view, 1, 2).data).toEqual(Float64Array.of(5, 6));
});

test("rows of a vector and of more axes", () => {
  expect(rows({ shape: [3], data: Float64Array.of(1, 2, 3) }, 1, 3)).toEqual({
    shape: [2],
    data: Float64Array.of(2, 3),
  });
  const cube = { shape: [2, 2, 2], data: Float64Array.of(0, 1, 2, 3, 4, 5, 6, 7) };
  expect(rows(cube, 1, 2)).toEqual({ shape: [1, 2, 2], data: Float64Array.of(4, 5, 6, 7) });
});

test("gathered rows are copies, in the order of the indices, with repeats", () => {
  const source = matrix();
  const gathered = gatherRows(engine, source, [3, 0, 3]);
  expect(gathered).toEqual({ shape: [3, 2], data: Float64Array.of(7, 8, 1, 2, 7, 8) });
  gathered.data.fill(0);
  expect(source).toEqual(matrix());
  expect(gatherRows(engine, source, [])).toEqual({ shape: [0, 2], data: new Float64Array() });
});

test("added rows add to what is there, once for each time an index is repeated", () => {
  const target = matrix();
  addRows(target, { shape: [3, 2], data: Float64Array.of(10, 20, 100, 200, 1000, 2000) }, Int32Array.of(2, 0, 2));
  expect(Array.from(target.data)).toEqual([101, 202, 3, 4, 1015, 2026, 7, 8]);
});

test("gathering and adding are each other's transpose", () => {
  const [indices, source] = [[1, 1, 3, 0, 1], matrix()];
  const cotangent = { shape: [5, 2], data: Float64Array.from({ length: 10 }, (_, index) => index - 4) };
  const scattered = zeros(engine, [4, 2]);
  addRows(scattered, cotangent, indices);
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Array.from(a).reduce((sum, value, index) => sum + value * b[index]!, 0);
  expect(dot(gatherRows(engine, source, indices).data, cotangent.data)).toBe(dot(source.data, scattered.data));
});

test("zeros", () => {
  const used = { ...engine, allocate: () => ({ shape: [2], data: Float64Array.of(5, 6) }) };
  expect(zeros(used, [2])).toEqual({ shape: [2], data: Float64Array.of(0, 0) });
});

test("integers are int32, by default a vector", () => {
  expect(integers([1, 2, 3])).toEqual({ shape: [3], data: Int32Array.of(1, 2, 3) });
  expect(integers([1, 2, 3, 4], [2, 2])).toEqual({ shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) });
});
