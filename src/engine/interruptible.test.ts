import { expect, test } from "vitest";
import { engines } from "../../test/helpers/engines.ts";
import { multiply } from "../graph/ops/elementwise.ts";
import { defineProgram } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import { interruptible } from "./interruptible.ts";

const [, { engine: native }] = engines;
const x = input(["n"]);
const square = defineProgram("square", { x }, { y: multiply(x, x) });

function setUp() {
  const engine = interruptible(native);
  const controller = new AbortController();
  const kept = engine.allocate([3]);
  kept.data.set([1, 2, 3]);
  const program = engine.compile(square);
  const held = native.allocatedBytes;
  return { engine, controller, kept, program, held, signal: controller.signal };
}

test("no program is begun behind the one in which the signal comes, and all memory is given back", async () => {
  const { engine, controller, kept, program, held, signal } = setUp();
  const forLater = engine.allocate([5]);
  const reached: string[] = [];
  const result = await engine.untilAborted(
    signal,
    async () => {
      const { y } = await program.run({ x: kept });
      const running = program.run({ x: y! }, { y: engine.allocate([3]) });
      controller.abort();
      engine.release((await running).y!);
      engine.allocate([1000]);
      engine.release(kept);
      reached.push("the program that ran");
      await program.run({ x: y! });
      reached.push("another one");
    },
    () => engine.release(forLater),
  );
  expect(result).toBeUndefined();
  expect(reached).toEqual(["the program that ran"]);
  const empty = engine.allocate([3]);
  // What the work gave back is not given back twice.
  expect(native.allocatedBytes).toBe(held);
  expect((await program.run({ x: empty })).y!.shape).toEqual([3]);
});

test("work that ends anyway gives its result, or its own error", async () => {
  const { engine, controller, kept, program, signal } = setUp();
  const tidy = () => expect.unreachable();
  const finished = await engine.untilAborted(
    signal,
    async () => {
      const running = program.run({ x: kept });
      controller.abort();
      return running;
    },
    tidy,
  );
  expect([...finished!.y!.data]).toEqual([1, 4, 9]);
  const failing = async () => {
    throw new Error("of another kind");
  };
  await expect(engine.untilAborted(signal, failing, tidy)).rejects.toThrow("of another kind");
});

test("an interrupted engine works on; two works at once are refused", async () => {
  const { engine, kept, program, signal } = setUp();
  const run = () => program.run({ x: kept });
  expect(await engine.untilAborted(AbortSignal.abort(), run, () => {})).toBeUndefined();
  const one = engine.untilAborted(signal, run, () => {});
  await expect(engine.untilAborted(signal, run, () => {})).rejects.toThrow("has work already");
  expect([...(await one)!.y!.data]).toEqual([1, 4, 9]);
  expect(engine.precision).toBe("float32");
});
