import { mkdirSync } from "node:fs";
import { appendFile, open, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { largestError, worstGradient } from "../../test/helpers/compare.ts";
import { engines } from "../../test/helpers/engines.ts";
import {
  pairRecords,
  readMetrics,
  recordingReporter,
  temporaryFolder,
  trainTiny,
  writeJsonLines,
} from "../../test/helpers/runs.ts";
import {
  pairObjectives,
  randomExamples,
  tinyConfiguration,
  tinyModel,
  zeroGradients,
} from "../../test/helpers/tiny.ts";
import { packBatch } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import { createObjective } from "../objectives/index.ts";
import { Random } from "../random.ts";
import { Learner } from "../step/learner.ts";
import { fillCache, headAlone } from "./reference.ts";
import { ReferenceCache, type ReferenceCacheOptions, referenceCacheBytes } from "./reference-cache.ts";

const width = 6;
const identity = { reference: "abc", width };
const examples = randomExamples(1, [
  [3, 4, 2],
  [2, 1, 5],
  [4, 3, 3],
]);
const wanted = new Set(examples);
const plenty = { budget: 1e9, wanted, warn(_message: string) {} };

let file: string;

beforeEach(async () => {
  file = join(await temporaryFolder(), "states.bin");
});

function statesOf({ prompt, responses }: TokenizedExample): Float32Array {
  const random = Random.from(prompt[0]!, "states");
  const count = responses.reduce((sum, { length }) => sum + length, 0) * width;
  return Float32Array.from({ length: count }, () => random.normal());
}

async function filled(options: ReferenceCacheOptions = plenty): Promise<void> {
  const cache = await ReferenceCache.open(file, identity, options);
  for (const example of examples) await cache.add(example, statesOf(example));
  await cache.close({ keep: true });
}

async function found(of = identity): Promise<boolean[]> {
  const cache = await ReferenceCache.open(file, of, plenty);
  const states = await Promise.all(examples.map((example) => cache.read(example)));
  await cache.close({ keep: true });
  states.forEach((read, index) => {
    if (read) expect(read).toEqual(statesOf(examples[index]!));
  });
  return states.map((read) => read !== undefined);
}

/**
 * From now on, the disk takes so many more bytes of caches: a part of the last write, then nothing.
 */
async function leaveRoom(bytes: number): Promise<void> {
  const handle = await open(file, "a");
  await handle.close();
  const prototype = Object.getPrototypeOf(handle);
  const { write } = prototype;
  const spy = vi.spyOn(prototype, "write").mockImplementation(async function (this: unknown, ...given: unknown[]) {
    const [buffer, offset, length, position] = given as [Uint8Array, number, number, number?];
    if (position === undefined) return write.apply(this, given);
    const fits = Math.min(bytes, length);
    if (fits === 0) throw Object.assign(new Error("no space left"), { code: "ENOSPC", syscall: "write" });
    bytes -= fits;
    return write.call(this, buffer, offset, fits, position);
  });
  onTestFinished(() => spy.mockRestore());
}

describe("the file", () => {
  test("gives back what was put in, now and after it was closed", async () => {
    await filled();
    expect(await found()).toEqual([true, true, true]);
    const bytes = (await stat(file)).size;
    await filled();
    expect((await stat(file)).size).toBe(bytes);
    const header = (await readFile(file)).indexOf("\n") + 1;
    expect(bytes).toBe(header + referenceCacheBytes(examples, width));
  });

  test("of another reference is begun again", async () => {
    await filled();
    expect(await found({ ...identity, reference: "def" })).toEqual([false, false, false]);
    expect(await found()).toEqual([false, false, false]);
  });

  test("cut at any byte keeps its whole records", async () => {
    await filled();
    const whole = await readFile(file);
    const last = referenceCacheBytes([examples[2]!], width);
    for (let cut = 1; cut <= last; cut += 7) {
      await writeFile(file, whole);
      await truncate(file, whole.length - cut);
      expect(await found()).toEqual([true, true, false]);
    }
    await filled();
    expect(await found()).toEqual([true, true, true]);
  });

  test("with foreign bytes behind or in it gives nothing that was not put in", async () => {
    await filled();
    await appendFile(file, Buffer.alloc(50, 7));
    expect(await found()).toEqual([true, true, true]);
    const bytes = await readFile(file);
    bytes[bytes.length - 60]! ^= 1;
    await writeFile(file, bytes);
    expect((await found()).slice(0, 2)).toEqual([true, true]);
    expect((await found())[2]).toBe(false);
  });

  test("of a process that was killed at its beginning is begun again", async () => {
    await filled();
    const whole = await readFile(file);
    const header = whole.indexOf("\n") + 1;
    for (const left of [0, 1, header - 1, header, header + 20]) {
      await writeFile(file, whole.subarray(0, left));
      expect(await found()).toEqual([false, false, false]);
      expect((await stat(file)).size).toBe(header);
      await filled();
      expect(await readFile(file)).toEqual(whole);
    }
  });

  test("never closed, and longer than what was written, keeps what was", async () => {
    const cache = await ReferenceCache.open(file, identity, plenty);
    await cache.add(examples[0]!, statesOf(examples[0]!));
    const { size } = await stat(file);
    await truncate(file, size + 1000);
    expect(await found()).toEqual([true, false, false]);
    expect((await stat(file)).size).toBe(size);
    await cache.close({ keep: true });
  });

  test("takes no more after a failed write, and says so once", async () => {
    const warnings: string[] = [];
    await leaveRoom(referenceCacheBytes([examples[0]!], width) + 10);
    await filled({ ...plenty, warn: (message) => warnings.push(message) });
    const problem = "cannot write the reference cache: the disk is full; what is not in it is computed each time";
    expect(warnings).toEqual([`${file}: ${problem}`]);
    expect(await found()).toEqual([true, false, false]);
  });

  test("keeps to its budget and to what comes again", async () => {
    await filled({ ...plenty, budget: 150 + referenceCacheBytes([examples[0]!], width) });
    expect(await found()).toEqual([true, false, false]);
    await ReferenceCache.open(file, identity, plenty).then((cache) => cache.close({ keep: false }));
    await filled({ ...plenty, wanted: new Set([examples[1]!]) });
    expect(await found()).toEqual([false, true, false]);
  });
});

test("a learner with it computes what it computes without, whatever part is cached", async () => {
  const { engine, tolerance } = engines.find(({ precision }) => precision === "float32")!;
  const configuration = tinyConfiguration();
  const policy = tinyModel(engine, configuration, 1);
  const reference = tinyModel(engine, configuration, 2, policy);
  for (const options of pairObjectives) {
    const objective = createObjective(options);
    const run = async (learner: Learner) => {
      const gradients = zeroGradients(engine, policy);
      const scored = await learner.accumulate(packBatch(examples), 1, gradients);
      return { gradients, losses: scored.map(({ outcome }) => outcome.loss) };
    };
    const plain = await run(new Learner({ engine, policy, reference, objective }));
    const learner = new Learner({ engine, policy, reference, objective });
    const own = { reference: options.name, width: configuration.width };
    const cache = await ReferenceCache.open(file, own, { ...plenty, wanted: new Set(examples.slice(0, 2)) });
    learner.referenceCache = cache;
    for (let pass = 0; pass < 3; pass++) {
      const cached = await run(learner);
      expect(largestError(cached.losses, plain.losses)).toBeLessThan(tolerance);
      const { name, error } = worstGradient(cached.gradients, plain.gradients);
      expect(error, name).toBeLessThan(tolerance);
    }
    await cache.close({ keep: false });
  }
});

test("a learner with the head of the reference alone needs every example in it", async () => {
  const { engine } = engines.find(({ precision }) => precision === "float32")!;
  const policy = tinyModel(engine, tinyConfiguration(), 1);
  const reference = headAlone(engine, policy, { copy: true });
  const learner = new Learner({ engine, policy, reference, objective: createObjective(pairObjectives[5]) });
  const identity = { reference: "itself", width: policy.configuration.width };
  const cache = await ReferenceCache.open(file, identity, plenty);
  learner.referenceCache = cache;
  for await (const _ of fillCache(engine, policy, cache, examples.slice(0, 2), { tokens: 64 }));
  const [scored] = await learner.evaluate(packBatch(examples.slice(0, 2)));
  expect(scored!.outcome.loss).toBeCloseTo(Math.log(2), 5);
  await expect(learner.evaluate(packBatch(examples))).rejects.toThrow(
    `${file}: has lost what was in it; delete the file`,
  );
  await cache.close({ keep: false });
});

test("filled ahead, the run is the same, from another reference and after an interruption too", async () => {
  const folder = await temporaryFolder();
  const data = { train: await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(12)), heldOut: 3 };
  const [base, other] = [join(folder, "base"), join(folder, "other")];
  await trainTiny(folder, { output: base, data: { train: data.train } });
  await trainTiny(folder, { output: other, seed: 5, steps: 8, data: { train: data.train } });
  const losses = async (run: string) => (await readMetrics(run)).map(({ loss }) => loss as number);
  for (const reference of [null, other]) {
    const settings = { model: base, reference, data, objective: { name: "tdpo2" }, checkpoints: { everySteps: 2 } };
    const plain = await trainTiny(folder, { ...settings, output: join(folder, `plain ${reference !== null}`) });
    const output = join(folder, `ahead ${reference !== null}`);
    const ahead = { ...settings, output, referenceCache: { ahead: true } };
    const whole = await trainTiny(folder, ahead);
    expect(whole.result.status).toBe("finished");
    expect(largestError(await losses(output), await losses(plain.recipe.output))).toBeLessThan(1e-5);
    if (!reference) expect(whole.metrics[0]).toMatchObject({ split: "evaluation", "rewards/accuracies": 0.5 });

    for (const when of ["reference", "train"]) {
      const controller = new AbortController();
      const heard = recordingReporter();
      const progress = ({ activity, done }: { activity: string; done: number }) => {
        if (activity === when && done >= 2) controller.abort();
      };
      const interrupted = { overwrite: true, signal: controller.signal, reporter: { ...heard.reporter, progress } };
      expect((await trainTiny(folder, { ...ahead, microbatch: { tokens: 64 } }, interrupted)).result.status).toBe(
        "stopped",
      );
      const resumed = await trainTiny(folder, ahead, { resume: true });
      expect(resumed.result.status).toBe("finished");
      expect(largestError(await losses(output), await losses(plain.recipe.output))).toBeLessThan(1e-5);
      expect((await readdir(output)).includes("reference-states.bin")).toBe(false);
    }
  }
});

describe("a run whose disk does not take the cache", () => {
  const wholeStays = "not every example is in the reference cache: the whole reference stays in memory";

  test.each(["full", "nowhere"] as const)("is the run without it: %s", async (disk) => {
    const folder = await temporaryFolder();
    const data = { train: await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(12)), heldOut: 3 };
    const [base, other] = [join(folder, "base"), join(folder, "other")];
    await trainTiny(folder, { output: base, data: { train: data.train } });
    await trainTiny(folder, { output: other, seed: 5, data: { train: data.train } });
    const settings = { model: base, data, objective: { name: "tdpo2" }, epochs: 2, steps: null };
    for (const reference of [null, other]) {
      const output = join(folder, `plain ${reference !== null}`);
      const plain = await trainTiny(folder, { ...settings, reference, output, referenceCache: { gigabytes: 0 } });
      for (const ahead of [false, true]) {
        const output = join(folder, `${ahead} ${reference !== null}`);
        const heard = recordingReporter();
        // A folder where the file should be, made once the run has found its output free.
        const note = () => void mkdirSync(join(output, "reference-states.bin", "taken"), { recursive: true });
        if (disk === "full") await leaveRoom(2000);
        const reporter = disk === "full" ? heard.reporter : { ...heard.reporter, note };
        const limited = { ...settings, reference, output, referenceCache: { ahead }, microbatch: { tokens: 64 } };
        const { result, metrics } = await trainTiny(folder, limited, { reporter });
        vi.restoreAllMocks();
        expect(result.status).toBe("finished");
        const losses = (records: typeof metrics) => records.map(({ loss }) => loss as number);
        expect(largestError(losses(metrics), losses(plain.metrics))).toBeLessThan(1e-5);
        const about = heard.warnings.filter((warning) => /reference/.test(warning));
        if (disk === "nowhere")
          expect(about).toEqual([expect.stringMatching(/it is .*the reference is computed each time$/)]);
        else expect(about).toEqual([expect.stringMatching(/the disk is full/), ...(ahead ? [wholeStays] : [])]);
      }
    }
  });
});

test("a run of several epochs with it is the run without it", async () => {
  const folder = await temporaryFolder();
  const data = { train: await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(12)), heldOut: 3 };
  const base = join(folder, "base");
  await trainTiny(folder, { output: base, data: { train: data.train } });
  const settings = { model: base, data, objective: { name: "tdpo2" }, epochs: 3, steps: null };
  const cached = await trainTiny(folder, settings);
  // It is too small to be worth a line.
  expect(cached.notes.join("\n")).not.toMatch(/reference cache/);
  const plain = await trainTiny(folder, {
    ...settings,
    output: join(folder, "plain"),
    referenceCache: { gigabytes: 0 },
  });
  expect(plain.notes.join("\n")).not.toMatch(/reference cache/);
  const losses = async (run: string) => (await readMetrics(run)).map(({ loss }) => loss as number);
  expect(largestError(await losses(cached.recipe.output), await losses(plain.recipe.output))).toBeLessThan(1e-5);
});
