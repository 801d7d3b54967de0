/**
 * Ctrl-C while models compute: nothing is begun behind the program in which it comes, and nothing
 * half done is kept.
 */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import type * as onnxRuntime from "../src/engine/native/onnx-runtime.ts";
import { evaluate } from "../src/evaluate/evaluate.ts";
import { parseRecipe } from "../src/recipe/parse.ts";
import type { Reporter } from "../src/report.ts";
import { estimatesFile, type WeightedRecipe } from "../src/runs/token-weights.ts";
import { weigh } from "../src/weigh/weigh.ts";
import {
  hashes,
  pairRecords,
  recordingReporter,
  type Settings,
  temporaryFolder,
  timeless,
  tinyRecipe,
  trainTiny,
  writeJsonLines,
} from "./helpers/runs.ts";

/** How many programs have begun, and the one in which Ctrl-C comes. */
const programs = vi.hoisted(() => ({ begun: 0, last: 0, controller: new AbortController() }));

vi.mock("../src/engine/native/onnx-runtime.ts", async (importOriginal) => {
  const original = await importOriginal<typeof onnxRuntime>();
  const onnxRuntimeEngine: typeof original.onnxRuntimeEngine = (options) => {
    const engine = original.onnxRuntimeEngine(options);
    const plain = engine.compile.bind(engine);
    const compile: typeof engine.compile = (program) => {
      const executable = plain(program);
      const run: typeof executable.run = (...given) => {
        if (++programs.begun === programs.last) programs.controller.abort();
        return executable.run(...given);
      };
      return { ...executable, run };
    };
    return Object.assign(engine, { compile });
  };
  return { ...original, onnxRuntimeEngine };
});

let folder: string;
let model: string;
let data: Settings;

beforeEach(async () => {
  folder = await temporaryFolder();
  data = { train: await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(8)), heldOut: 3 };
  model = join(folder, "base");
  await trainTiny(folder, { output: model, steps: 4, data: { train: data.train } });
});

/** From now on, Ctrl-C comes in the program with this number; never in that with 0. */
function interruptIn(program: number): AbortSignal {
  Object.assign(programs, { begun: 0, last: program, controller: new AbortController() });
  return programs.controller.signal;
}

/** A few numbers of programs from the first to the last. */
function someOf(count: number): number[] {
  expect(count).toBeGreaterThan(20);
  const step = Math.ceil(count / 5);
  return [...Array.from({ length: 5 }, (_, index) => 1 + index * step).filter((number) => number < count), count];
}

test.each<[string, Settings]>([
  ["the reference cache is filled", { referenceCache: { ahead: true }, evaluation: { atStart: false } }],
  ["policy and reference are sampled from", { evaluation: { samples: 1 } }],
])("in training, while %s", async (_, changes) => {
  const settings = { model, data, objective: { name: "dpo" }, steps: 2, microbatch: { tokens: 60 }, ...changes };
  const train = (output: string, options: Parameters<typeof trainTiny>[2]) =>
    trainTiny(folder, { ...settings, output: join(folder, output) }, { ...options });
  interruptIn(0);
  let beforeSteps = 0;
  const reporter: Reporter = {
    ...recordingReporter().reporter,
    progress({ activity }) {
      if (activity === "reference") beforeSteps = programs.begun;
    },
    record({ split, step }) {
      if (split === "evaluation" && step === 0) beforeSteps = programs.begun;
    },
  };
  const whole = await train("whole", { reporter });
  expect(whole.result.status).toBe("finished");
  for (const program of someOf(beforeSteps)) {
    const output = `in-${program}`;
    const { result } = await train(output, { signal: interruptIn(program) });
    expect(programs.begun).toBe(program);
    expect(result).toMatchObject({ status: "stopped", step: 0 });
    interruptIn(0);
    const { metrics } = await train(output, { resume: true });
    expect(timeless(metrics)).toEqual(timeless(whole.metrics));
    expect(await hashes(join(folder, output, "model"))).toEqual(await hashes(join(folder, "whole", "model")));
  }
});

test("in an evaluation", async () => {
  const options = { models: [model], reference: model, data: [data.train as string], samples: 2, maxNewTokens: 4 };
  const objective = { name: "tdpo2" } as const;
  const run = (signal: AbortSignal) => evaluate({ ...options, objective, threads: 2, signal });
  expect(await run(interruptIn(0))).toHaveLength(1);
  for (const program of someOf(programs.begun - 1)) {
    expect(await run(interruptIn(program))).toBeUndefined();
    expect(programs.begun).toBe(program);
  }
});

test("while estimating: whole pairs stay, and the next call goes on behind them", async () => {
  const weights = { from: "prompts", positive: "+{prompt}", negative: "-{prompt}" };
  const settings = { model, data, objective: { name: "tis-dpo" }, weights, microbatch: { examples: 2 } };
  const recipe = parseRecipe(tinyRecipe(folder, settings), "recipe.yaml") as WeightedRecipe;
  const file = estimatesFile(recipe);
  const run = (signal: AbortSignal) => weigh(recipe, { signal, reporter: recordingReporter().reporter });
  expect((await run(interruptIn(0))).status).toBe("finished");
  const whole = await readFile(file);
  for (const program of someOf(programs.begun)) {
    await rm(file);
    expect((await run(interruptIn(program))).status).toBe("stopped");
    expect(programs.begun).toBe(program);
    expect((await run(interruptIn(0))).status).toBe("finished");
    expect((await readFile(file)).equals(whole)).toBe(true);
  }
});
