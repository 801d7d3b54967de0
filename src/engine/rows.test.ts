import { expect, test } from "vitest";
import { integers, rows } from "./engine.ts";
import { float64Engine } from "./float64.ts";
import { gatherRows } from "./rows.ts";

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

test("gathered rows are copies", () => {
  const source = matrix();
  const gathered = gatherRows(engine, source, [3, 0, 3]);
  expect(gathered).toEqual({ shape: [3, 2], data: Float64Array.of(7, 8, 1, 2, 7, 8) });
  engine.fill(gathered, 0);
  expect(source).toEqual(matrix());
  expect(gatherRows(engine, source, [])).toEqual({ shape: [0, 2], data: new Float64Array() });
});

test("integers are int32, by default a vector", () => {
  expect(integers([1, 2, 3])).toEqual({ shape: [3], data: Int32Array.of(1, 2, 3) });
  expect(integers([1, 2, 3, 4], [2, 2])).toEqual({ shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) });
});
