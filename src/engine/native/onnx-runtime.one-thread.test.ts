import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { add } from "../../graph/ops/elementwise.ts";
import { defineProgram } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { testAgreement } from "../testing/agreement.ts";
import { testContract } from "../testing/contract.ts";
import { testExtremes } from "../testing/extremes.ts";
import { onnxRuntimeEngine } from "./onnx-runtime.ts";

// A process has one number of threads for good, and Vitest gives each file a process of its own.
const engine = onnxRuntimeEngine({ threads: 1 });

testContract(engine);
testExtremes(engine);
testAgreement(engine);

// With one thread nothing else keeps the library loaded: a collected handle to it would crash the
// process here.
test("the garbage collector takes nothing that native code needs", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const x = input(["n"]);
  const program = defineProgram("twice", { x }, { y: add(x, x) });
  const executable = engine.compile(program);
  for (let round = 0; round < 5; round++) {
    const pending = executable.run({ x: { shape: [3], data: Float32Array.of(1, 2, round) } });
    collect();
    expect(Array.from((await pending).y!.data)).toEqual([2, 4, 2 * round]);
    await setTimeout(2);
  }
  expect(() => engine.compile(program)).not.toThrow();
});

test("another number of threads is refused in the same process", () => {
  expect(() => onnxRuntimeEngine({ threads: 2 })).toThrow("already runs with 1 threads in this process, not 2");
  expect(() => onnxRuntimeEngine({ threads: 1 })).not.toThrow();
});
