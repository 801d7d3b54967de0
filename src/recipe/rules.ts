import { isAbsolute, relative, sep } from "node:path";
import type { Form } from "../data/forms/form.ts";
import { formNamed, forms } from "../data/forms/index.ts";
import { templateProblem } from "../importance/prompt-templates.ts";
import type { TransformOptions } from "../importance/transforms.ts";
import { createObjective } from "../objectives/index.ts";
import type { Objective } from "../objectives/objective.ts";
import { millions } from "../words.ts";
import type { Issue } from "./issue.ts";
import type { Recipe } from "./schema.ts";

/**
 * The first thing in a recipe that is wrong because of another: conflicts, and keys that would have
 * no effect.
 */
export function firstConflict(recipe: Recipe): Issue | undefined {
  for (const conflict of conflicts(recipe)) return conflict;
  return undefined;
}

function* conflicts(recipe: Recipe): Generator<Issue> {
  const { model, init, lora, data, evaluation } = recipe;
  const objective = createObjective(recipe.objective);
  if (model && init) yield issue("init", "a model to start from is already given", "keep either `model` or `init`");
  if (!model && !init)
    yield issue("model", "is missing", "give a model folder, or `init:` to start from random weights");
  if (init) {
    yield* headConflicts(init);
    yield* sizeConflicts(init);
  }
  if (init && !recipe.tokenizer)
    yield issue("tokenizer", "is missing", "a new model needs a tokenizer folder, or `bytes`");
  if (init && lora)
    yield issue(
      "lora",
      "an adapter needs a trained model below it, and `init` makes a new one",
      "give `model` instead",
    );

  const lengths = (["epochs", "steps", "examples"] as const).filter((key) => recipe[key] !== undefined);
  if (lengths.length === 0)
    yield issue("epochs", "is missing", "say how long to train: `epochs`, `steps` or `examples`");
  if (lengths.length > 1)
    yield issue(lengths[1]!, `\`${lengths[0]}\` already says how long to train`, "keep one of them");

  if (objective.reference === "loss" && recipe.reference === "none")
    yield issue("reference", `${objective.name} needs a reference`, "leave it out to compare with the starting model");
  if (objective.reference === "none" && recipe.reference && recipe.reference !== "none")
    yield issue("reference", `${objective.name} compares with no reference`, "leave it out");

  yield* weightConflicts(recipe, objective);
  yield* formConflicts(data, objective);
  if (data.evaluation && data.heldOut > 0)
    yield issue("data.heldOut", "`data.evaluation` already gives the held-out data", "keep one of them");
  for (const key of ["everySteps", "samples"] as const) {
    if (evaluation[key] && !data.evaluation && data.heldOut === 0)
      yield issue(`evaluation.${key}`, "nothing is held out", "set `data.heldOut` or `data.evaluation`");
  }
}

function* formConflicts({ format, pack, columns }: Recipe["data"], { name, responses }: Objective): Generator<Issue> {
  const form = formNamed(format);
  const namesOf = (fits: (form: Form) => boolean, key: "name" | "items") =>
    forms
      .filter(fits)
      .map((form) => form[key])
      .join(" or ");
  if (!form.responses.includes(responses))
    yield issue(
      "data.format",
      `${name} needs ${namesOf((one) => one.responses.includes(responses), "name")}, not ${format}`,
    );
  if (pack && !form.packs)
    yield issue("data.pack", `only ${namesOf((one) => one.packs, "items")} can be packed, not ${form.items}`);
  for (const [column, given] of Object.entries(columns))
    if (given !== undefined && !(column in form.columns))
      yield issue(`data.columns.${column}`, `\`format: ${format}\` has no such column`);
}

function* weightConflicts({ weights, output, init }: Recipe, objective: Objective): Generator<Issue> {
  if (objective.weights === "required" && !weights)
    yield issue(
      "weights",
      `is missing: ${objective.name} weighs tokens`,
      "say where the weights come `from`: dpo, sft, prompts, models or file",
    );
  if (!weights) return;
  if (objective.responses === 1) yield issue("weights", `${objective.name} weighs no tokens`, "leave it out");
  if ("folder" in weights && weights.folder !== undefined) {
    // It would be in the run's way, and be deleted with it.
    const below = relative(output, weights.folder);
    const [first] = below.split(sep);
    if (!isAbsolute(below) && first !== ".." && first !== "contrastive")
      yield issue("weights.folder", "lies in the run's folder", "leave it out, or choose one outside of `output`");
  }
  if (init && weights.from !== "file")
    yield issue("init", "weights need a model to begin with", "give `model`, or `weights: { from: file }`");
  if (weights.from === "prompts") {
    const wrong = templateProblem(weights);
    if (wrong) yield issue(`weights.${wrong.field}`, wrong.problem, wrong.hint);
  }
  const { transform } = weights;
  if ("lower" in transform && transform.lower >= transform.upper)
    yield issue("weights.transform.lower", `${transform.lower} is not below upper, ${transform.upper}`);
  if ("least" in transform && transform.least > transform.most)
    yield issue("weights.transform.least", `${transform.least} is above most, ${transform.most}`);
  const exponent = largestExponent(transform);
  if (exponent > 80)
    yield issue("weights.transform", `gives weights up to e^${Math.round(exponent)}, too large for float32`);
  if ("training" in weights) {
    const lengths = (["epochs", "steps", "examples"] as const).filter((key) => weights.training[key] !== undefined);
    if (lengths.length > 1)
      yield issue(
        `weights.training.${lengths[1]}`,
        `\`${lengths[0]}\` already says how long to train`,
        "keep one of them",
      );
    if (weights.from === "sft" && weights.training.beta !== undefined)
      yield issue("weights.training.beta", "supervised fine-tuning has no beta", "leave it out");
  }
}

/** The logarithm of the largest weight that an exponential transform can give; 0 for the others. */
function largestExponent(transform: TransformOptions): number {
  if (transform.name === "magnitude") return transform.mu * transform.limit;
  if (transform.name !== "exp-clamp") return 0;
  const { k, mu, lower, upper } = transform;
  return Math.log(k) + mu * Math.max(Math.abs(lower), Math.abs(upper));
}

/** More parameters than any machine trains in float32. */
const mostParameters = 1e11;

function* sizeConflicts({ width, layers, feedForwardWidth, vocabularySize = 0 }: NonNullable<Recipe["init"]>) {
  const parameters = layers * width * (4 * width + 3 * feedForwardWidth) + 2 * vocabularySize * width;
  if (parameters > mostParameters)
    yield issue("init", `is a model of about ${millions(parameters)} parameters, which no machine can train here`);
}

function* headConflicts({ width, heads, headWidth, keyValueHeads }: NonNullable<Recipe["init"]>): Generator<Issue> {
  const each = headWidth ?? width / heads;
  if (!Number.isInteger(each)) yield issue("init.width", `${width} cannot be divided into ${heads} heads`);
  else if (each % 2 !== 0)
    yield issue(headWidth ? "init.headWidth" : "init.width", `the width of a head must be even, found ${each}`);
  if (keyValueHeads && heads % keyValueHeads !== 0)
    yield issue("init.keyValueHeads", `${heads} heads cannot share ${keyValueHeads} evenly`);
}

function issue(key: string, problem: string, hint?: string): Issue {
  return { path: key.split("."), problem, hint };
}
