import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { parseRecipe, placeInRecipe, readRecipe } from "./parse.ts";

const text = `
# A comment.
model: models/base
output: runs/one
data:
  train: [a.jsonl, b.jsonl]
  heldOut: 0.1
objective: { name: tdpo2 }
learningRate: 5e-6
epochs: 3
`;

test("fills in the defaults", () => {
  const recipe = parseRecipe(text, "r.yaml");
  expect(recipe).toEqual({
    model: "models/base",
    output: "runs/one",
    seed: 0,
    data: {
      train: ["a.jsonl", "b.jsonl"],
      heldOut: 0.1,
      format: "pairs",
      columns: {},
      onBadPair: "error",
      repeatedPrompt: "keep",
      specialTokens: "token",
      truncation: "keep_end",
      pack: false,
    },
    objective: { name: "tdpo2", beta: 0.1, alpha: 0.5 },
    optimizer: { name: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
    learningRate: 5e-6,
    warmupSteps: 0,
    schedule: "constant",
    maxGradientNorm: 10,
    batchSize: 64,
    epochs: 3,
    microbatch: { tokens: 1280 },
    activationCheckpointing: false,
    referenceCache: { gigabytes: 4, ahead: false },
    evaluation: { atStart: true, examples: 256, samples: 0 },
    checkpoints: { everyMinutes: 10, keep: 1 },
    logging: { everySteps: 1, minimumSeconds: 0 },
    dtype: "float32",
  });
});

test.each<[string, object]>([
  ["{}", {}],
  ["{ rank: 4, alpha: 0.5, dropout: 0.1, rslora: true }", { rank: 4, alpha: 0.5, dropout: 0.1, rslora: true }],
  ["{ targetModules: [q_proj, v_proj], base: int4 }", { targetModules: ["q_proj", "v_proj"], base: "int4" }],
])("lora: %s", (lora, expected) => {
  const defaults = { rank: 16, alpha: 32, dropout: 0, targetModules: "all-linear", rslora: false, base: "stored" };
  expect(parseRecipe(`${text}lora: ${lora}`, "r.yaml").lora).toEqual({ ...defaults, ...expected });
});

test("takes a byte order mark and Windows line ends", () => {
  const windows = `\uFEFF${text.replaceAll("\n", "\r\n")}`;
  expect(parseRecipe(windows, "r.yaml")).toEqual(parseRecipe(text, "r.yaml"));
  expect(() => parseRecipe(`${windows}foo: 1\r\n`, "r.yaml")).toThrow("r.yaml:11:1: foo: unknown key");
});

describe("overrides", () => {
  const objectiveOf = (...overrides: string[]) => parseRecipe(text, "r.yaml", overrides).objective;

  test("replace, add, nest and take out", () => {
    const recipe = parseRecipe(text, "r.yaml", [
      ...["objective.alpha=0.7", "evaluation.everySteps=5", "steps=10", "epochs=", "data.train=c.jsonl"],
      "output=runs/a=b",
    ]);
    expect(recipe.objective).toEqual({ name: "tdpo2", beta: 0.1, alpha: 0.7 });
    expect(recipe.evaluation).toEqual({ everySteps: 5, atStart: true, examples: 256, samples: 0 });
    expect([recipe.steps, recipe.epochs, recipe.data.train]).toEqual([10, undefined, "c.jsonl"]);
    expect(recipe.output).toBe("runs/a=b");
  });

  test("later ones win, also inside of earlier ones", () => {
    expect(objectiveOf("objective={name: dpo}", "objective.beta=0.2", "objective.beta=0.3")).toMatchObject({
      name: "dpo",
      beta: 0.3,
    });
  });

  test("that change what a group is drop what the file says of the other kind", () => {
    const weighed = text.replace(
      "{ name: tdpo2 }",
      "{ name: tis-dpo, beta: 0.2, alpha: 0.7 }\nweights: { from: prompts, preset: helpful, folder: w, transform: { k: 2, upper: 3 } }",
    );
    const parsed = (...overrides: string[]) => parseRecipe(weighed, "r.yaml", overrides);
    expect(parsed("objective.name=dpo").objective).toEqual({
      ...{ name: "dpo", beta: 0.2, labelSmoothing: 0, aggregate: "sum", referenceFree: false },
    });
    expect(parsed("objective.name=tis-dpo").objective).toMatchObject({ beta: 0.2, alpha: 0.7 });
    const ranked = parsed("weights.transform.name=rank", "weights.transform.least=0.5").weights;
    expect(ranked).toMatchObject({ preset: "helpful", transform: { name: "rank", least: 0.5, most: 1.3 } });
    expect(parsed("weights.transform.name=threshold").weights!.transform).toEqual({
      ...{ name: "threshold", lower: -1, upper: 3 },
    });
    const supervised = parsed("weights.from=sft").weights;
    expect(supervised).toMatchObject({ from: "sft", folder: "w", transform: { k: 2 } });
    expect(supervised).not.toHaveProperty("preset");
  });

  test("that were given themselves are not dropped, nor what is misspelt", () => {
    const message = /objective\.alpha: unknown key; it belongs to .*`name: tdpo2`, `name: tis-dpo`, .* and /;
    for (const overrides of [
      ["objective.alpha=1", "objective.name=dpo"],
      ["objective.name=dpo", "objective.alpha=1"],
      ["objective={name: tdpo2, alpha: 1}", "objective.name=dpo"],
    ]) {
      expect(() => objectiveOf(...overrides)).toThrow(message);
    }
    const misspelt = text.replace("tdpo2 }", "tdpo2, alpa: 1 }");
    expect(() => parseRecipe(misspelt, "r.yaml", ["objective.name=dpo"])).toThrow("objective.alpa: unknown key");
    expect(() => objectiveOf("objective.alpha=1", "objective.name=ppo")).toThrow("objective.name: must be one of");
  });

  test("are where their own mistakes are", () => {
    expect(() => objectiveOf("objective={name: dpo}", "objective.alpha=1")).toThrow(
      "`set: objective.alpha=1`: objective.alpha: unknown key; it belongs to `name: r-dpo`",
    );
    expect(() => objectiveOf("init={}", "model=")).toThrow(/^`set: init={}`: init.architecture: /);
    expect(() => objectiveOf("steps=5")).toThrow("`set: steps=5`: steps: `epochs` already says how long to train");
  });
});

describe("hostile YAML is one clear error", () => {
  const refused = (addition: string, ...overrides: string[]) => {
    const parse = () => parseRecipe(text + addition, "r.yaml", overrides);
    expect(parse).toThrow(UserError);
    return expect(parse);
  };

  test.each([
    [
      "an alias that holds itself",
      "lora: &a { rank: *a }",
      /^r\.yaml:11:18: the alias \*a stands for a group that holds/,
    ],
    ["an alias that holds itself below a list", "lora: &a { x: [{ y: *a }] }", /^r\.yaml:11:21: the alias \*a/],
    ["an alias without an anchor", "lora: *a", /^r\.yaml:11:7: there is no anchor &a before this alias/],
    [
      "a bomb of aliases",
      `a: &a [${"1,".repeat(99)}]\nb: &b [${"*a,".repeat(99)}]\nc: [${"*b,".repeat(99)}]`,
      /not valid YAML: Excessive/,
    ],
    ["nesting", `lora: ${"[".repeat(50)}${"]".repeat(50)}`, /^r\.yaml:11:\d+: nested too deep/],
    [
      "nesting beyond the stack",
      `lora: ${"[".repeat(50_000)}${"]".repeat(50_000)}`,
      /^r\.yaml:11:\d+: .*nested too deep/,
    ],
    [
      "nesting in blocks",
      `${Array.from({ length: 60 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")} 1`,
      /nested too deep/,
    ],
    ["keys of keys beyond the stack", "? ".repeat(400_000), /^r\.yaml:11:\d+: nested too deep/],
    ["lists of lists beyond the stack", `a:\n  ${"- ".repeat(400_000)}`, /^r\.yaml:12:\d+: nested too deep/],
    ["groups beyond the stack", `lora: ${"{a: ".repeat(200_000)}`, /^r\.yaml:11:\d+: nested too deep/],
    ["indentation", Array.from({ length: 600 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"), /nested too deep/],
    ["a key that is a list", "? [a]\n: 1", /^r\.yaml:11:3: a key must be a word/],
    ["a value of megabytes", `seed: ${"x".repeat(900_000)}`, /seed: must be a number, found "x{79}…$/],
    ["a key of megabytes", `${"x".repeat(1000)}: 1`, /unknown key$/],
  ])("%s", (_, addition, message) => refused(`${addition}\n`).toThrow(message));

  test("also in settings of the command line", () => {
    refused("", "lora=&a {rank: *a}").toThrow(/^`set: lora=&a .*the alias \*a stands for a group that holds it/);
    refused("", `lora=${"[".repeat(50)}${"]".repeat(50)}`).toThrow(/nested too deep/);
  });

  test("anchors that are used well stay", () => {
    const shared = `weights: { from: sft, training: &t { steps: 3 }, folder: a }\nevaluation: { everySteps: &n 5, examples: *n }\n`;
    const recipe = parseRecipe(text.replace("tdpo2", "tis-dpo") + shared, "r.yaml");
    expect(recipe.evaluation).toMatchObject({ everySteps: 5, examples: 5 });
  });
});

describe("files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "recipe-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each<[string, string | Uint8Array, RegExp]>([
    ["in UTF-16", Buffer.from(`\ufeff${text}`, "utf16le"), /recipe\.yaml: is UTF-16; save it as UTF-8/],
    ["in Latin-1", Buffer.from("model: m\xf6del", "latin1"), /recipe\.yaml: is not UTF-8 text/],
    ["that are data", "a: 1\n".repeat(300_000), /recipe\.yaml: is longer than 1 MB/],
  ])("%s are refused", async (_, content, message) => {
    const file = join(folder, "recipe.yaml");
    await writeFile(file, content);
    await expect(readRecipe(file)).rejects.toThrow(message);
  });

  test.skipIf(process.platform === "win32")("without an end are refused", () =>
    expect(readRecipe("/dev/zero")).rejects.toThrow(/is longer than 1 MB/),
  );
});

describe("paths", () => {
  const home = (name: string) => join(homedir(), name);
  const all = `
model: ~/models/base
output: ~/runs/one
tokenizer: ~/tokenizer
reference: ~/models/sft
data: { train: [~/a.jsonl, b.jsonl], evaluation: ~/e.jsonl }
objective: { name: tis-dpo }
weights: { from: models, positive: ~/p, negative: ~/n, folder: ~/w }
learningRate: 1e-4
epochs: 1
`;

  test("that begin with ~/ are in the home folder", () => {
    const { model, output, tokenizer, reference, data, weights } = parseRecipe(all, "r.yaml");
    expect([model, output, tokenizer, reference, data.evaluation, ...data.train]).toEqual([
      ...[home("models/base"), home("runs/one"), home("tokenizer"), home("models/sft"), home("e.jsonl")],
      ...[home("a.jsonl"), "b.jsonl"],
    ]);
    expect(weights).toMatchObject({ positive: home("p"), negative: home("n"), folder: home("w") });
    expect(parseRecipe(text, "r.yaml", ["output=~/x"]).output).toBe(home("x"));
  });

  test("of estimates, too", () => {
    const file = parseRecipe(all.replace(/from: models.*}/, "from: file, file: ~/e.safetensors }"), "r.yaml").weights;
    expect(file).toMatchObject({ file: home("e.safetensors") });
  });

  test.each([
    [
      "output: runs/one",
      "output: $HOME/runs",
      /^r\.yaml:4:9: output: "\$HOME" is a variable of the shell.*; write the path out/,
    ],
    ["models/base", "~bob/base", /^r\.yaml:3:8: model: "~bob" is not looked up/],
    ["b.jsonl", "'%USERPROFILE%/b.jsonl'", /^r\.yaml:6:10: data\.train: "%USERPROFILE%" is a variable/],
    ["a.jsonl, b.jsonl", "''", /data\.train/],
    ["output: runs/one", "output: ~", /^r\.yaml:4:9: output: must be a text, found null/],
  ])("%s as %s", (right, wrong, message) => {
    expect(() => parseRecipe(text.replace(right, wrong), "r.yaml")).toThrow(UserError);
    expect(() => parseRecipe(text.replace(right, wrong), "r.yaml")).toThrow(message);
  });
});

describe("numbers that are a slip of the hand", () => {
  test.each([
    ["batchSize=1e15", /batchSize: must be at most 1000000, found 1000000000000000; the examples of one step/],
    ["batchSize=1e400", /batchSize: must be a (whole )?number, found Infinity/],
    ["threads=1000", /threads: must be at most 512, found 1000; no processor/],
    ["memory=0GB", /memory: must be more than nothing, such as 2GB, found "0GB"/],
    ["memory=0.0 MB", /memory: must be more than nothing/],
    ["memory=99999999GB", /memory: must be a size that a machine has/],
    ["lora.alpha=1e300", /lora\.alpha: must be at most 1000000, found 1e\+300; what the adapter computes/],
    ["lora.alpha=1e-300", /lora\.alpha: must be at least 1e-30, found 1e-300; a smaller number is 0 in float32/],
    ["lora.rank=1e15", /lora\.rank: must be at most 1000000000/],
    ["epochs=1e300", /epochs: must be at most/],
    ["learningRate=1e300", /learningRate: must be at most 1000, found 1e\+300; the optimizer moves/],
    ["learningRate=1e-300", /learningRate: must be at least 1e-30/],
    ["warmupSteps=1e15", /warmupSteps: must be at most/],
    ["maxGradientNorm=1e300", /maxGradientNorm: must be at most/],
    ["optimizer={name: adamw, epsilon: 1e9}", /optimizer\.epsilon: must be at most 1/],
    ["optimizer={name: adamw, weightDecay: 1e9}", /optimizer\.weightDecay: must be at most/],
    ["objective.beta=1e300", /objective\.beta: must be at most/],
    ["objective.beta=1e-300", /objective\.beta: must be at least/],
    ["objective.alpha=1e300", /objective\.alpha: must be at most/],
    ["microbatch.tokens=1e15", /microbatch\.tokens: must be at most 10000000, found .*; they are computed at once/],
    ["data.maxLength=1e15", /data\.maxLength: must be at most/],
    ["data.heldOut=1e300", /data\.heldOut: must be at most/],
    ["checkpoints.everyMinutes=1e300", /checkpoints\.everyMinutes: must be at most/],
    ["checkpoints.keep=1e12", /checkpoints\.keep: must be at most/],
    ["logging.minimumSeconds=1e300", /logging\.minimumSeconds: must be at most/],
    ["referenceCache.gigabytes=1e300", /referenceCache\.gigabytes: must be at most/],
    ["evaluation.samples=1e9", /evaluation\.samples: must be at most/],
    ["steps=1e15", /steps: must be at most/],
    ["seed=1e15", /seed: must be at most 4294967295/],
  ])("%s", (override, message) => {
    const overrides = [override, ...(override.startsWith("steps") ? ["epochs="] : [])];
    expect(() => parseRecipe(text, "r.yaml", overrides)).toThrow(UserError);
    expect(() => parseRecipe(text, "r.yaml", overrides)).toThrow(message);
  });

  test.each([
    ["{ mu: 100, upper: 10 }", /weights\.transform: gives weights up to e\^1000/],
    ["{ name: magnitude, limit: 1e6 }", /weights\.transform: gives weights up to/],
    ["{ upper: 1e300 }", /weights\.transform\.upper: must be at most/],
    ["{ name: rank, least: -1e300 }", /weights\.transform\.least: must be at least/],
  ])("a transform %s", (transform, message) => {
    const weighed = `${text.replace("tdpo2", "tis-dpo")}weights: { from: sft, transform: ${transform} }\n`;
    expect(() => parseRecipe(weighed, "r.yaml")).toThrow(message);
  });

  test.each([
    ["layers: 1e9", /init\.layers: must be at most 10000/],
    ["layers: 1000, width: 100000, heads: 100", /init: is a model of about 70000 billion parameters/],
  ])("a new model with %s", (sizes, message) => {
    const init = `{ ${sizes}, architecture: llama, ${sizes.includes("width") ? "" : "width: 8, heads: 1, "}feedForwardWidth: 100000, contextLength: 8 }`;
    const made = text.replace("model: models/base", `init: ${init}\ntokenizer: bytes`);
    expect(() => parseRecipe(made, "r.yaml")).toThrow(message);
  });
});

describe("where a mistake is", () => {
  test.each<[string, string, string]>([
    [
      "name: tdpo2",
      "name: tdpo3",
      "r.yaml:8:20: objective.name: must be one of sft, dpo, ipo, hinge, robust-dpo, r-dpo,",
    ],
    ["name: tdpo2", "name: bco_pair", '"bco_pair"; TRL\'s `bco_pair` is `{ name: bco-pair, shift: none }`'],
    ["name: tdpo2", "name: constructor", 'found "constructor"'],
    ["heldOut: 0.1", "heldOut: -1", "r.yaml:7:12: data.heldOut: must be at least 0, found -1"],
    ["a.jsonl", "3", "r.yaml:6:10: data.train: must be a text or a list of texts"],
    ["learningRate: 5e-6\n", "", "r.yaml: learningRate: is missing"],
    ["{ name: tdpo2 }", "{}", "r.yaml:8:12: objective.name: is missing; give one of sft, dpo"],
    ["{ name: tdpo2 }", "dpo", 'r.yaml:8:12: objective: must be a group of keys, found "dpo"; write its keys below it'],
    ["epochs: 3", "epochs: .inf", "r.yaml:10:9: epochs: must be a number, found Infinity"],
    ["epochs: 3", "lora: { rank: 0 }", "r.yaml:10:15: lora.rank: must be greater than 0, found 0"],
    ["epochs: 3", "lora: { dropout: 1 }", "r.yaml:10:18: lora.dropout: must be less than 1, found 1"],
    ["epochs: 3", "lora: { alpha: 0 }", "r.yaml:10:16: lora.alpha: must be greater than 0, found 0"],
    ["epochs: 3", "lora: { r: 8 }", "r.yaml:10:9: lora.r: unknown key"],
    ["epochs: 3", "lora: { base: int8 }", "r.yaml:10:15: lora.base: must be one of stored, int4, found"],
    [
      "epochs: 3",
      "lora: { targetModules: q_proj }",
      'r.yaml:10:24: lora.targetModules: must be "all-linear" or a list of names, found "q_proj"',
    ],
    [
      "model: models/base",
      "init: { architecture: llama, width: 8, layers: 1, heads: 1, feedForwardWidth: 8, contextLength: 8 }\ntokenizer: bytes\nlora: {}",
      "r.yaml:5:7: lora: an adapter needs a trained model below it, and `init` makes a new one; give `model` instead",
    ],
  ])("%j as %j", (right, wrong, message) => {
    expect(() => parseRecipe(text.replace(right, wrong), "r.yaml")).toThrow(message);
  });

  test("an unknown key is told before the missing one that it was meant to be, and all are counted", () => {
    expect(() => parseRecipe(text.replace("learningRate", "learningrate"), "r.yaml")).toThrow(
      "r.yaml:9:1: learningrate: unknown key (and 1 more); did you mean `learningRate`?",
    );
  });

  test.each([
    ["max_length", "data.maxLength"],
    ["everyMinutes", "checkpoints.everyMinutes"],
    ["batch_size", "batchSize"],
    ["max_grad_norm", "maxGradientNorm"],
  ])("%s: did you mean %s?", (key, suggestion) => {
    expect(() => parseRecipe(`${text}${key}: 1\n`, "r.yaml")).toThrow(`did you mean \`${suggestion}\`?`);
  });

  test("a key of another kind of weights is told with what it belongs to", () => {
    const wrong = `${text.replace("tdpo2", "tis-dpo")}weights: { from: prompts, training: { steps: 1 } }\n`;
    expect(() => parseRecipe(wrong, "r.yaml")).toThrow(
      "weights.training: unknown key; it belongs to `from: dpo` and `from: sft`",
    );
  });

  test("no suggestion where nothing is like it", () => {
    expect(() => parseRecipe(`${text}quantization: 1\n`, "r.yaml")).toThrow(
      /^r\.yaml:11:1: quantization: unknown key$/,
    );
  });

  test("is found again for problems that show later", () => {
    const recipe = parseRecipe(text, "r.yaml", ["seed=4"]);
    const placed = (field: string) => (placeInRecipe(recipe, new UserError("is wrong", { field })) as Error).message;
    expect(placed("heldOut")).toBe("r.yaml:7:12: heldOut: is wrong");
    expect(placed("data.heldOut")).toBe("r.yaml:7:12: data.heldOut: is wrong");
    expect(placed("seed")).toBe("`set: seed=4`: seed: is wrong");
    expect(placed("maxLength")).toBe("r.yaml:6:3: maxLength: is wrong");
    const [placedAlready, fault] = [new UserError("is bad", { file: "a", field: "seed" }), new Error("a fault")];
    expect(placeInRecipe(recipe, placedAlready)).toBe(placedAlready);
    expect(placeInRecipe(recipe, fault)).toBe(fault);
  });
});
