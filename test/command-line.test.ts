/** The command line: in this process for bad input, in one of its own for signals. */
import { spawn } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { runCommandLine } from "../src/cli/program.ts";
import { writeByteTokenizer } from "../src/data/tokens/byte-tokenizer.ts";
import { openSafetensors, readTensor, writeSafetensors } from "../src/storage/safetensors.ts";
import {
  init,
  pairRecords,
  readMetrics,
  type Settings,
  temporaryFolder,
  tinyRecipe,
  trainTiny,
  weightsHash,
  writeJsonLines,
} from "./helpers/runs.ts";

let folder: string;
let recipe: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  recipe = join(folder, "recipe.yaml");
  await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(8));
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs the command line in this process. */
async function runHere(...args: string[]) {
  const said = { out: "", error: "" };
  const keep = (stream: keyof typeof said) => (text: unknown) => {
    said[stream] += text;
    return true;
  };
  vi.spyOn(process.stdout, "write").mockImplementation(keep("out"));
  vi.spyOn(process.stderr, "write").mockImplementation(keep("error"));
  vi.spyOn(console, "log").mockImplementation((text) => keep("out")(`${text}\n`));
  vi.spyOn(console, "error").mockImplementation((text) => keep("error")(`${text}\n`));
  const listeners = process.listenerCount("SIGINT");
  const code = await runCommandLine(args);
  expect(process.listenerCount("SIGINT")).toBe(listeners);
  vi.restoreAllMocks();
  return { code, ...said };
}

async function trainHere(changes: Settings = {}, ...args: string[]) {
  await writeFile(recipe, tinyRecipe(folder, changes));
  return runHere("train", recipe, ...args);
}

/** One line that says what is wrong, exit code 2, and no folder of the run. */
function expectOneError({ code, error }: { code: number; error: string }, message: string | RegExp): void {
  const lines = error.split("\n").filter((line) => line.startsWith("error: "));
  expect(lines, error).toHaveLength(1);
  // Nothing follows it, such as a stack.
  expect(error.endsWith(`${lines[0]}\n`), error).toBe(true);
  if (typeof message === "string") expect(lines[0]).toContain(message);
  else expect(lines[0]).toMatch(message);
  expect(code).toBe(2);
}

async function expectNoRun(): Promise<void> {
  expect(await readdir(folder)).not.toContain("run");
}

test("trains, and says where the model is", async () => {
  const { code, out, error } = await trainHere({ steps: 2 });
  expect(code).toBe(0);
  expect(out).toBe(`model: ${join(folder, "run", "model")}\n`);
  expect(error).toMatch(/^data: 8 pairs of texts\n8 training examples.*\n/);
  expect(error).toMatch(/\nstep 1: loss \d/);
  expect(error).toMatch(/\nstep 2: loss [^\n]*\n$/);
});

test("takes settings from the command line, in its order", async () => {
  const { code, out } = await trainHere(
    { epochs: 1, steps: null },
    ...["--set", "epochs=", "steps=1", "objective={name: dpo}", "objective.beta=0.3", "--set", "seed=5"],
  );
  expect([code, out]).toEqual([0, `model: ${join(folder, "run", "model")}\n`]);
  const resolved = await readFile(join(folder, "run", "recipe.yaml"), "utf8");
  expect(resolved).toMatch(/^objective:\n {2}name: dpo\n {2}beta: 0.3$/m);
  expect(resolved).toMatch(/^seed: 5$/m);
  expect(resolved).not.toContain("epochs");
});

test("checks a recipe without a run", async () => {
  const { code, out } = await trainHere({}, "--dry-run");
  expect([code, out]).toEqual([0, "the recipe is good\n"]);
  await expectNoRun();
});

describe("how it is called", () => {
  test.each<[string[], string]>([
    [["trian"], "unknown command 'trian'"],
    [["train"], "missing required argument 'recipe'"],
    [["train", "a.yaml", "--resum"], "unknown option '--resum'"],
    [["train", "a.yaml", "b.yaml"], "too many arguments"],
    [["train", "a.yaml"], "a.yaml: cannot read the recipe: no such file or folder"],
    [["train", "."], ".: cannot read the recipe: it is a folder, not a file"],
  ])("%o", async (args, message) => {
    const { code, error } = await runHere(...args);
    expect(code).toBe(2);
    expect(error).toMatch(/^error: /);
    expect(error).toContain(message);
    expect(error).not.toContain("    at ");
  });

  test("help and version are no errors", async () => {
    expect(await runHere("--version")).toEqual({ code: 0, out: "0.1.0\n", error: "" });
    const { code, out } = await runHere("train", "--help");
    expect(code).toBe(0);
    expect(out).toContain("--resume");
  });
});

describe("bad recipes", () => {
  test.each<[Settings, string]>([
    [{ learning_rate: 1 }, "recipe.yaml:19:1: learning_rate: unknown key; did you mean `learningRate`?"],
    [{ beta: 0.1 }, "beta: unknown key; did you mean `objective.beta`?"],
    [{ objective: { name: "dpo", alpha: 0.1 } }, "objective.alpha: unknown key; it belongs to `name: r-dpo`"],
    [{ objective: { name: "tdpo" } }, 'orpo, rpo, mpo, found "tdpo"; did you mean'],
    [{ evaluation: { everyStep: 3 } }, "evaluation.everyStep: unknown key; did you mean `everySteps`?"],
    [{ data: { train: "x", columns: { promt: "p" } } }, "data.columns.promt: unknown key; did you mean `prompt`?"],
    [{ learningRate: -1 }, "recipe.yaml:15:15: learningRate: must be greater than 0, found -1"],
    [{ learningRate: "fast" }, 'learningRate: must be a number, found "fast"'],
    [{ batchSize: 0 }, "batchSize: must be greater than 0, found 0"],
    [{ batchSize: 2.5 }, "batchSize: must be a whole number, found 2.5"],
    [{ objective: { name: "dpo", beta: 0 } }, "objective.beta: must be greater than 0, found 0"],
    [{ objective: { name: "dpo", labelSmoothing: 0.7 } }, "objective.labelSmoothing: must be at most 0.5, found 0.7"],
    [{ optimizer: { name: "adamw", beta1: 1 } }, "optimizer.beta1: must be less than 1, found 1"],
    [{ activationCheckpointing: "on" }, 'activationCheckpointing: must be true or false, found "on"'],
    [{ learningRate: null }, "learningRate: is missing"],
    [{ data: { train: [] } }, "data.train: must not be empty"],
    [{ data: { train: 5 } }, "data.train: must be a text or a list of texts, found 5"],
    [{ data: { train: "x", heldOut: 1.5 } }, "data.heldOut: must be a count, or a share below 1, found 1.5"],
    [{ epochs: 2 }, "epochs: `epochs` already says how long to train; keep one of them".replace("epochs: ", "steps: ")],
    [{ steps: null }, "epochs: is missing; say how long to train"],
    [{ init: null }, "model: is missing; give a model folder, or `init:`"],
    [{ tokenizer: null }, "tokenizer: is missing; a new model needs a tokenizer folder, or `bytes`"],
    [{ init: { ...init, width: 17 } }, "init.width: 17 cannot be divided into 2 heads"],
    [{ init: { ...init, headWidth: 7 } }, "init.headWidth: the width of a head must be even, found 7"],
    [{ init: { ...init, keyValueHeads: 3 } }, "init.keyValueHeads: 2 heads cannot share 3 evenly"],
    [{ objective: { name: "tdpo2" }, reference: "none" }, "reference: tdpo2 needs a reference"],
    [{ reference: "elsewhere" }, "reference: sft compares with no reference; leave it out"],
    [{ objective: { name: "dpo" }, data: { train: "x", format: "text" } }, "data.format: dpo needs pairs, not text"],
    [{ data: { train: "x", pack: true } }, "data.pack: only texts can be packed, not pairs"],
    [{ data: { train: "x", columns: { text: "t" } } }, "data.columns.text: `format: pairs` has no such column"],
    [{ data: { train: "x", evaluation: "y", heldOut: 2 } }, "data.heldOut: `data.evaluation` already gives"],
    [{ evaluation: { everySteps: 5 } }, "evaluation.everySteps: nothing is held out; set"],
    [{ evaluation: { samples: 2 } }, "evaluation.samples: nothing is held out; set"],
  ])("%o", async (changes, message) => {
    const result = await trainHere(changes);
    expectOneError(result, message);
    if (!message.includes("is missing")) expect(result.error).toMatch(/^error: \S+recipe\.yaml:\d+:\d+: /);
    await expectNoRun();
  });

  test.each<[string, string]>([
    ["model: [", "recipe.yaml:2:1: not valid YAML: "],
    ["output: a\noutput: b", "recipe.yaml:2:1: not valid YAML: Map keys must be unique"],
    ["output: a\n\tseed: 1", "recipe.yaml:2:1: not valid YAML: "],
    ["seed: *nowhere", "recipe.yaml:1:7: there is no anchor &nowhere before this alias"],
    ["seed: !strange 1", "recipe.yaml:1:7: not valid YAML: Unresolved tag: !strange"],
    ["", "recipe.yaml: is not a recipe"],
    ["- a\n- b", "recipe.yaml: is not a recipe"],
  ])("text %j", async (text, message) => {
    await writeFile(recipe, `${text}\n`);
    expectOneError(await runHere("train", recipe), message);
  });

  test.each<[string, string]>([
    ["learningRate=-1", "--set learningRate=-1: learningRate: must be greater than 0, found -1"],
    ["learningrate=1", "--set learningrate=1: learningrate: unknown key; did you mean `learningRate`?"],
    ["objective.bta=1", "--set objective.bta=1: objective.bta: unknown key; did you mean `beta`?"],
    ["objective=dpo", '--set objective=dpo: objective: must be a group of keys, found "dpo"'],
    ["learningRate", "--set learningRate: is not a setting; write key=value, such as objective.beta=0.2"],
    ["=3", "--set =3: is not a setting"],
    ["output.x=1", "--set output.x=1: the recipe has no place for this key"],
    ["seed=[1", "--set seed=[1: not valid YAML"],
    ["learningRate=", "learningRate: is missing"],
  ])("--set %s", async (setting, message) => {
    expectOneError(await trainHere({}, "--set", setting), message);
    await expectNoRun();
  });
});

describe("bad data", () => {
  const pair = { prompt: "p", chosen: "c", rejected: "r" };
  test.each<[string, string]>([
    ['{"prompt": "p", "chosen": "c", "rej', "pairs.jsonl:2: is not valid JSON"],
    ['["p", "c", "r"]', "pairs.jsonl:2: a record must be an object"],
    [
      JSON.stringify({ prompt: "p", chosen: "c" }),
      "pairs.jsonl:2: rejected: is missing; the record has `prompt`, `chosen`",
    ],
    [JSON.stringify({ ...pair, chosen: "  " }), "pairs.jsonl:2: chosen: is blank"],
    [JSON.stringify({ ...pair, chosen: 5 }), "pairs.jsonl:2: chosen: must be a text, not a number"],
    [JSON.stringify({ ...pair, rejected: "c" }), "pairs.jsonl:2: rejected: the same text as in `chosen`"],
    [JSON.stringify({ question: "p", chosen: "c", rejected: "r" }), "pairs.jsonl:2: prompt: is missing"],
  ])("%s", async (line, message) => {
    await writeFile(join(folder, "pairs.jsonl"), `${JSON.stringify(pair)}\n${line}\n`);
    expectOneError(await trainHere(), message);
    await expectNoRun();
  });

  test.each<[Settings, string]>([
    [{ train: "nowhere.jsonl" }, "nowhere.jsonl: there is no such file"],
    [{ train: "." }, ".: is a directory, a file is needed"],
    [
      { heldOut: 8 },
      "recipe.yaml:13:12: heldOut: holding out 8 of 8 pairs (8 different prompts) leaves none to train on",
    ],
    [{ maxLength: 65 }, "recipe.yaml:13:14: maxLength: 65 tokens are more than the model's context of 64"],
    [{ maxLength: 1 }, "recipe.yaml:13:14: maxLength: must be an integer from 2"],
    [
      { maxLength: 8, maxPromptLength: 8 },
      "recipe.yaml:14:20: maxPromptLength: 8 leaves no room for a response within maxLength 8",
    ],
  ])("%o", async (data, message) => {
    expectOneError(await trainHere({ data: { train: join(folder, "pairs.jsonl"), ...data } }), message);
    await expectNoRun();
  });

  test("an empty file", async () => {
    await writeFile(join(folder, "pairs.jsonl"), "");
    expectOneError(await trainHere(), "pairs.jsonl: is empty");
    await expectNoRun();
  });

  test("texts that are all held out", async () => {
    const train = await writeJsonLines(join(folder, "texts.jsonl"), [{ text: "a" }, { text: "b" }]);
    const result = await trainHere({ data: { train, format: "text", heldOut: 2 } });
    expectOneError(result, "data.heldOut: holding out 2 of 2 texts leaves none to train on");
  });

  test("too little for one step", async () => {
    expectOneError(
      await trainHere({ steps: null, epochs: 0.01 }),
      "epochs: 0.01 epochs of 8 examples are not one example",
    );
    await expectNoRun();
  });
});

describe("bad models", () => {
  let model: string;

  beforeEach(async () => {
    const { result } = await trainTiny(folder, { output: join(folder, "first"), steps: 1 });
    model = result.model!;
  });

  const changeConfiguration = async (changes: Settings) => {
    const file = join(model, "config.json");
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, "utf8")), ...changes }));
  };
  /** Writes the weights again with one of them changed. */
  const changeWeight = async (change: (data: Float32Array) => Float32Array | Int32Array, shape = [16]) => {
    const file = await openSafetensors(join(model, "model.safetensors"));
    const tensors = [];
    for (const [name, entry] of file.tensors) {
      const data = await readTensor(file, name);
      tensors.push(name === "model.norm.weight" ? { name, shape, data: change(data) } : { ...entry, name, data });
    }
    await writeSafetensors(file.file, tensors);
  };

  test.each<[string, () => Promise<unknown>, string]>([
    ["missing", () => rm(model, { recursive: true }), "no such model folder"],
    ["without configuration", () => rm(join(model, "config.json")), "is not a model folder: it holds no config.json"],
    ["with broken configuration", () => writeFile(join(model, "config.json"), "{"), "config.json:1:2: not valid JSON"],
    [
      "of another architecture",
      () => changeConfiguration({ model_type: "mamba" }),
      'config.json: model_type: "mamba" is not supported',
    ],
    [
      "of other sizes",
      () => changeConfiguration({ intermediate_size: 32 }),
      "gate_proj.weight must be floats [32, 16], found F32 [24, 16]",
    ],
    ["without weights", () => rm(join(model, "model.safetensors")), "holds no weights"],
    ["with cut weights", () => writeFile(join(model, "model.safetensors"), "cut"), "not a safetensors file"],
    [
      "of a wrong shape",
      () => changeWeight((data) => data, [4, 4]),
      "model.norm.weight must be floats [16], found F32 [4, 4]",
    ],
    [
      "of whole numbers",
      () => changeWeight((data) => Int32Array.from(data)),
      "model.norm.weight must be floats [16], found I32 [16]",
    ],
    [
      "with NaN weights",
      () => changeWeight((data) => data.fill(Number.NaN, 3, 4)),
      "model.norm.weight: NaN at index 3",
    ],
    ["without tokenizer", () => rm(join(model, "tokenizer.json")), "tokenizer.json: there is no such file"],
    [
      "with a broken tokenizer",
      () => writeFile(join(model, "tokenizer.json"), "{"),
      "tokenizer.json:1:2: not valid JSON",
    ],
    [
      "with the tokenizer of another",
      () =>
        writeByteTokenizer(model, [
          ["y", "e"],
          ["n", "o"],
        ]),
      "this tokenizer does not belong to the model; the text is at",
    ],
  ] as [string, () => Promise<unknown>, string][])("%s", async (_, spoil, message) => {
    await spoil();
    expectOneError(await trainHere({ model }), message);
    await expectNoRun();
  });

  test("as reference, over another vocabulary", async () => {
    const reference = join(folder, "other");
    await trainTiny(folder, { output: reference, steps: 1, init: { ...init, vocabularySize: 300 } });
    const result = await trainHere({ model, reference, objective: { name: "dpo" } });
    expectOneError(result, /recipe\.yaml:\d+:12: reference: has a vocabulary of 300 tokens, the policy has 257/);
    await expectNoRun();
  });

  test("as reference, missing, is seen by a dry run", async () => {
    const result = await trainHere({ model, reference: "nowhere", objective: { name: "dpo" } }, "--dry-run");
    expectOneError(result, "nowhere: no such model folder");
  });
});

describe("bad output folders", () => {
  test("below a file", async () => {
    const output = join(folder, "pairs.jsonl", "run");
    expectOneError(await trainHere({ output }), `${output}: cannot read: a part of the path is a file, not a folder`);
  });

  test("a file", async () => {
    expectOneError(await trainHere({ output: join(folder, "pairs.jsonl") }), "pairs.jsonl: is a file, not a folder");
  });

  test("in use for something else", async () => {
    await mkdir(join(folder, "run"));
    await copyFile(join(folder, "pairs.jsonl"), join(folder, "run", "notes"));
    expectOneError(await trainHere(), "run: is not empty; choose another `output`");
    expect(await readdir(join(folder, "run"))).toEqual(["notes"]);
  });

  test("with a run in it", async () => {
    await trainHere({ steps: 1 });
    expectOneError(await trainHere({ steps: 1 }), "run: already holds a run; continue it with --resume");
  });

  test("with a run in it, to be overwritten", async () => {
    await trainHere({ steps: 2 });
    expect((await trainHere({ steps: 1 }, "--overwrite")).code).toBe(0);
    const records = await readFile(join(folder, "run", "metrics.jsonl"), "utf8");
    expect(records).not.toContain('"step":2');
    // The new run would begin with what it deletes.
    const { code, error } = await trainHere(
      { steps: 1, init: null, tokenizer: null, model: join(folder, "run") },
      "--overwrite",
    );
    expectOneError({ code, error }, "which overwriting would delete");
    expect(await readdir(join(folder, "run"))).toContain("model");
  });

  test("something else is not overwritten", async () => {
    await mkdir(join(folder, "run"));
    await copyFile(join(folder, "pairs.jsonl"), join(folder, "run", "notes"));
    expectOneError(await trainHere({ steps: 1 }, "--overwrite"), "run: is not empty");
    expect(await readdir(join(folder, "run"))).toEqual(["notes"]);
  });

  test("an empty one will do", async () => {
    await mkdir(join(folder, "run"));
    expect((await trainHere({ steps: 1 })).code).toBe(0);
  });
});

describe("Ctrl-C", () => {
  const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));

  function start(...args: string[]) {
    const child = spawn(process.execPath, ["--import", "tsx", main, "train", recipe, ...args], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = { out: "", error: "" };
    child.stdout.on("data", (text) => {
      said.out += text;
    });
    child.stderr.on("data", (text) => {
      said.error += text;
    });
    const ended = new Promise<number | null>((resolve) => {
      child.on("close", resolve);
    });
    const hears = (text: string) => vi.waitFor(() => expect(said.error).toContain(text), { timeout: 30_000 });
    return { child, said, ended, hears };
  }

  test("ends a step on the way and writes a checkpoint that a later run continues from, bit for bit", async () => {
    // Steps of about a second, each in one microbatch.
    const settings = {
      init: { ...init, width: 256, layers: 4, feedForwardWidth: 1024 },
      ...{ batchSize: 200, microbatch: { tokens: 100_000 }, steps: 100_000, objective: { name: "tdpo2" } },
    };
    await writeFile(recipe, tinyRecipe(folder, settings));
    const { child, said, ended, hears } = start();
    await hears("step 1: loss");
    const pressed = performance.now();
    child.kill("SIGINT");
    await hears("stopping");
    const acknowledged = performance.now() - pressed;
    expect(await ended).toBe(130);
    // Milliseconds in fact; a busy machine may take longer to start what says so.
    expect(acknowledged).toBeLessThan(5000);
    const [, step, checkpoint] = /^stopped after step (\d+); continue with --resume from (.*)\n$/.exec(said.out)!;
    expect(await readdir(join(folder, "run", "checkpoints"))).toEqual([`step-${step!.padStart(8, "0")}`]);
    expect(checkpoint).toBe(join(folder, "run", "checkpoints", `step-${step!.padStart(8, "0")}`));
    const more = Number(step) + 1;
    // The same steps, uninterrupted.
    const whole = await trainTiny(folder, { ...settings, output: join(folder, "whole"), steps: more });
    const { code, out, error } = await trainHere({ ...settings, steps: more }, "--resume");
    expect([code, out]).toEqual([0, `model: ${join(folder, "run", "model")}\n`]);
    expect(error).toContain(`resumed at step ${step}\n`);
    const metrics = await readMetrics(join(folder, "run"));
    expect(metrics.map((record) => record.loss)).toEqual(whole.metrics.map((record) => record.loss));
    expect(await weightsHash(join(folder, "run", "model"))).toBe(await weightsHash(whole.result.model!));
  });

  test("a bad recipe ends the process with 2 and one line", async () => {
    await writeFile(recipe, tinyRecipe(folder, { learningRate: -1 }));
    const { said, ended } = start();
    expect(await ended).toBe(2);
    expect(said).toEqual({
      out: "",
      error: `error: ${recipe}:15:15: learningRate: must be greater than 0, found -1\n`,
    });
  });
});
