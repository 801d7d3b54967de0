import { expect, test } from "vitest";
import { float64Engine } from "./float64.ts";
import { testContract } from "./testing/contract.ts";
import { testExtremes } from "./testing/extremes.ts";
import { testMemory } from "./testing/memory.ts";

testContract(float64Engine());
testExtremes(float64Engine());
testMemory(float64Engine());

test("memory is float64 and not accounted for", () => {
  const engine = float64Engine();
  const value = engine.allocate([2, 3]);
  expect(value).toEqual({ shape: [2, 3], data: new Float64Array(6) });
  engine.release(value);
  expect(engine.allocatedBytes).toBe(0);
});
