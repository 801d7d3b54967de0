import { describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { parseRecipe, placeInRecipe } from "./parse.ts";

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
      ...{ name: "dpo", beta: 0.2, labelSmoothing: 0, referenceFree: false },
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
    const message = "objective.alpha: unknown key; it belongs to `name: tdpo2` and `name: tis-dpo`";
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
      "--set objective.alpha=1: objective.alpha: unknown key; it belongs to `name: tdpo2`",
    );
    expect(() => objectiveOf("init={}", "model=")).toThrow(/^--set init={}: init.architecture: /);
    expect(() => objectiveOf("steps=5")).toThrow("--set steps=5: steps: `epochs` already says how long to train");
  });
});

describe("where a mistake is", () => {
  test.each<[string, string, string]>([
    [
      "name: tdpo2",
      "name: tdpo3",
      "r.yaml:8:20: objective.name: must be one of sft, dpo, ipo, tdpo1, tdpo2, tis-dpo, found",
    ],
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
    expect(placed("seed")).toBe("--set seed=4: seed: is wrong");
    expect(placed("maxLength")).toBe("r.yaml:6:3: maxLength: is wrong");
    const [placedAlready, fault] = [new UserError("is bad", { file: "a", field: "seed" }), new Error("a fault")];
    expect(placeInRecipe(recipe, placedAlready)).toBe(placedAlready);
    expect(placeInRecipe(recipe, fault)).toBe(fault);
  });
});
