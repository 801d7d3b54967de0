import { existsSync } from "node:fs";
import { join } from "node:path";
import type { TokenizedExample } from "../data/example.ts";
import { hashArrays, tokensOf } from "../data/fingerprint.ts";
import { UserError } from "../errors.ts";
import { keysWithRole, type Recipe } from "../recipe/schema.ts";
import type { Reporter } from "../report.ts";
import { listCheckpoints } from "../runs/checkpoint.ts";
import { RunFolder } from "../runs/run-folder.ts";
import type { StartingPoint } from "../runs/starting-point.ts";
import { contrastiveFolder, type WeightedRecipe } from "../runs/token-weights.ts";
import { modelFingerprint, tokenizerFingerprint } from "../storage/fingerprint.ts";
import { modelPath, openModelFolder } from "../storage/folder.ts";
import { type TrainResult, trainRun } from "../train/run.ts";
import type { Pole } from "./poles.ts";
import { firstDifference, type StageInputs, StageRecord } from "./stage-record.ts";

/** A recipe whose contrastive models have to be trained. */
export type TrainedContrast = WeightedRecipe & { weights: { from: "dpo" | "sft" } };

export function isTrainedContrast(recipe: WeightedRecipe): recipe is TrainedContrast {
  return recipe.weights.from === "dpo" || recipe.weights.from === "sft";
}

/**
 * The recipe of a contrastive model: DPO, or supervised fine-tuning on the chosen answers, on the
 * pairs as they are (π⁺) or with chosen and rejected swapped (π⁻). All else is as in the recipe,
 * but for what `weights.training` says.
 */
export function contrastiveRecipe(recipe: TrainedContrast, pole: Pole): Recipe {
  const { weights, ...rest } = recipe;
  const { beta = "beta" in recipe.objective ? recipe.objective.beta : 0.1, ...training } = weights.training;
  const { chosen = "chosen", rejected = "rejected", ...columns } = recipe.data.columns;
  const swapped = { ...columns, chosen: rejected, rejected: chosen };
  const ownLength = training.epochs ?? training.steps ?? training.examples;
  return JSON.parse(
    JSON.stringify({
      ...rest,
      ...(ownLength !== undefined && { epochs: undefined, steps: undefined, examples: undefined }),
      ...training,
      output: join(contrastiveFolder(recipe), pole),
      data: pole === "positive" ? recipe.data : { ...recipe.data, columns: swapped },
      objective:
        weights.from === "dpo"
          ? { name: "dpo", beta, labelSmoothing: 0, referenceFree: false }
          : { name: "sft", mean: "tokens" },
      // Without a reference of its own, DPO compares with the starting model.
      reference: weights.from === "dpo" && recipe.reference !== "none" ? recipe.reference : undefined,
      dtype: "float32",
      evaluation: { ...recipe.evaluation, samples: 0 },
    }),
  ) as Recipe;
}

/**
 * Trains a contrastive model, or goes on where an earlier training of the same inputs stopped;
 * where it is finished, nothing is done.
 *
 * @param inputs.examples the pairs to train on, as they are tokenized
 * @returns undefined where it was finished before
 * @throws UserError if the recipe names a folder that holds contrastive models of other inputs,
 * which another recipe may still need.
 */
export async function trainContrastive(
  recipe: TrainedContrast,
  pole: Pole,
  inputs: { examples: readonly TokenizedExample[]; start: StartingPoint },
  { signal, reporter }: { signal: AbortSignal; reporter: Reporter },
): Promise<TrainResult | undefined> {
  const contrastive = contrastiveRecipe(recipe, pole);
  const record = new StageRecord(contrastiveFolder(recipe));
  const folder = new RunFolder(contrastive.output);
  const stage = await stageInputs(contrastive, inputs);
  const before = (await record.read())[pole];
  const difference = before && firstDifference(before, stage);
  if (difference && recipe.weights.folder !== undefined) {
    const problem = `holds a ${pole} model of other inputs: ${difference} was ${before[difference] ?? "missing"}, is ${stage[difference] ?? "missing"}`;
    throw new UserError(problem, { file: recipe.weights.folder, hint: "name another `weights.folder`, or delete it" });
  }
  const same = before !== undefined && difference === undefined;
  if (same && existsSync(folder.model)) {
    reporter.note(`${pole} model: done before, ${folder.model}`);
    return undefined;
  }
  if (difference) reporter.note(`${pole} model: ${difference} has changed, so it is trained again`);
  reporter.note(`${pole} model: ${contrastive.output}`);
  const resume = same && (await listCheckpoints(folder.checkpoints)).length > 0;
  if (!resume) {
    await folder.remove();
    await record.write(pole, stage);
  }
  return trainRun(contrastive, { resume, signal, reporter });
}

/** The inputs of a contrastive training: settings, tokens, models; not where they lie. */
async function stageInputs(
  recipe: Recipe,
  { examples, start }: { examples: readonly TokenizedExample[]; start: StartingPoint },
): Promise<StageInputs> {
  const { maxLength, maxPromptLength, truncation } = recipe.data;
  const settings = {
    ...Object.fromEntries(keysWithRole("result", "length").map((key) => [key, recipe[key]])),
    // The tokens below decide; these name what changed them.
    ...{ "data.maxLength": maxLength, "data.maxPromptLength": maxPromptLength, "data.truncation": truncation },
  };
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(given.map(([name, value]) => [name, JSON.stringify(value)])),
    "training data": hashArrays(examples.flatMap(tokensOf)).toString("hex"),
    model: start.folder ? await modelFingerprint(start.folder) : "new",
    tokenizer: await tokenizerFingerprint(start.tokenizerFolder),
    ...(recipe.reference && { reference: await modelFingerprint(await openModelFolder(modelPath(recipe.reference))) }),
  };
}
