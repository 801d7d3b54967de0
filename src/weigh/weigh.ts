import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { TokenizedExample } from "../data/example.ts";
import { prepareExamples } from "../data/prepare.ts";
import { createEngine } from "../engine/create.ts";
import { UserError } from "../errors.ts";
import { tidyLeftovers } from "../files/leftovers.ts";
import { withLock } from "../files/lock.ts";
import { createObjective } from "../objectives/index.ts";
import { placeInRecipe } from "../recipe/parse.ts";
import { type Reporter, silentReporter } from "../report.ts";
import { lockName } from "../runs/run-folder.ts";
import { startingPoint, withTokenizerFolder } from "../runs/starting-point.ts";
import { contrastiveFolder, estimatesFile, type WeightedRecipe } from "../runs/token-weights.ts";
import { loadLanguageModel } from "../storage/load-model.ts";
import { isTrainedContrast, trainContrastive } from "./contrastive-runs.ts";
import { type Contrast, estimatePairs } from "./estimate-pairs.ts";
import { continueEstimates, identityOf, isEstimateOf } from "./identity.ts";
import { openPole, type Pole, poles, promptedExamples } from "./poles.ts";

export interface WeighOptions {
  readonly signal?: AbortSignal;
  readonly reporter?: Reporter;
  /** Check recipe, data and models as far as they are there, and stop. */
  readonly dryRun?: boolean;
}

export interface WeighResult {
  readonly status: "finished" | "stopped" | "checked";
  /** The estimates: of the training pairs, then of the held-out ones. */
  readonly file: string;
}

/**
 * Estimates, for each token of the pairs that a recipe trains and evaluates on, its
 * log-probabilities under the contrastive models that the recipe's `weights` name; trains those
 * models first where it has to. What an earlier call with the same inputs finished is not done
 * again, and what it left unfinished goes on.
 *
 * @throws UserError for anything wrong with the recipe, the models or the data.
 */
export async function weigh(recipe: WeightedRecipe, options: WeighOptions = {}): Promise<WeighResult> {
  const { signal = new AbortController().signal, reporter = silentReporter, dryRun = false } = options;
  const stages = () =>
    withTokenizerFolder(recipe, (tokenizer) => weighStages(recipe, tokenizer, { signal, reporter, dryRun }));
  const folder = contrastiveFolder(recipe);
  try {
    return dryRun ? await stages() : await withLock([join(folder, lockName), folder], stages);
  } catch (error) {
    throw placeInRecipe(recipe, error);
  }
}

async function weighStages(
  recipe: WeightedRecipe,
  tokenizerGiven: string | undefined,
  { signal, reporter, dryRun }: Required<WeighOptions>,
): Promise<WeighResult> {
  const file = estimatesFile(recipe);
  if (recipe.weights.from === "file") {
    const hint = "say which models estimate them: dpo, sft, prompts or models";
    throw new UserError("names estimates that are there already", { field: "weights.from", hint });
  }
  if (!dryRun) await tidyLeftovers(contrastiveFolder(recipe), { alone: true });
  const start = await startingPoint(recipe, tokenizerGiven);
  const objective = createObjective(recipe.objective);
  const prepared = await prepareExamples(recipe, objective.responses, start.tokenizer, start.configuration);
  for (const warning of [...start.warnings, ...prepared.warnings]) reporter.warn(warning);
  if (isTrainedContrast(recipe)) {
    if (dryRun) return { status: "checked", file };
    const inputs = { examples: prepared.train, start };
    for (const pole of poles) {
      const result = await trainContrastive(recipe, pole, inputs, { signal, reporter });
      if (result?.status === "stopped") return { status: "stopped", file };
    }
  }
  const models = {
    positive: await openPole(recipe, "positive", start),
    negative: await openPole(recipe, "negative", start),
  };
  if (recipe.weights.from === "prompts" && prepared.hasConversations) {
    const problem = "puts an instruction in front of prompts that are texts, and the data are conversations";
    throw new UserError(problem, { field: "weights.from", hint: "use dpo, sft or models" });
  }
  const examples = [...prepared.train, ...prepared.heldOut];
  const identity = await identityOf(recipe.weights.from, models, start.tokenizerFolder, examples);
  for (const note of poles.flatMap((pole) => models[pole].folder.notes)) reporter.note(note);
  for (const note of prepared.notes) reporter.note(note);
  const { specialTokens } = recipe.data;
  const views = {
    positive: await promptedExamples(examples, models.positive.template, start, specialTokens),
    negative: await promptedExamples(examples, models.negative.template, start, specialTokens),
  };
  if (dryRun) return { status: "checked", file };
  if (await isEstimateOf(identity, file)) {
    reporter.note(`estimates: done before, ${file}`);
    return { status: "finished", file };
  }
  reporter.note(`estimating the tokens of ${examples.length} pairs`);
  const writer = await continueEstimates(file, identity, examples.length, reporter.note);
  const finished = await estimate(recipe, { writer, models, examples, views }, { signal, reporter });
  return { status: finished ? "finished" : "stopped", file };
}

/** Estimates the examples that the writer does not have yet; false when aborted on the way. */
async function estimate(
  recipe: WeightedRecipe,
  { writer, models, examples, views }: Estimation,
  { signal, reporter }: { signal: AbortSignal; reporter: Reporter },
): Promise<boolean> {
  const engine = await createEngine({ threads: recipe.threads ?? availableParallelism() });
  try {
    const load = { frozen: true, base: isTrainedContrast(recipe) ? recipe.lora?.base : undefined };
    const positive = await loadLanguageModel(engine, models.positive.folder, load);
    const negative =
      models.positive.folder.path === models.negative.folder.path
        ? positive
        : await loadLanguageModel(engine, models.negative.folder, { ...load, like: positive });
    const rest = (model: typeof positive, pole: Pole): Contrast => ({
      model,
      examples: views[pole].slice(writer.done),
    });
    const contrasts = { positive: rest(positive, "positive"), negative: rest(negative, "negative") };
    if (writer.done > 0) reporter.note(`estimates: ${writer.done} of ${examples.length} pairs are there already`);
    const showProgress = () =>
      reporter.progress({ activity: "estimating pairs", done: writer.done, total: examples.length });
    showProgress();
    const work = async () => {
      for await (const pairs of estimatePairs(engine, examples.slice(writer.done), contrasts, recipe.microbatch)) {
        await writer.append(pairs);
        showProgress();
        if (signal.aborted) return;
      }
    };
    // Nothing is tidied, for the engine is not used any more.
    await engine.untilAborted(signal, work, () => {});
    if (signal.aborted) return false;
    await writer.finish();
    return true;
  } finally {
    await writer.close();
    engine.dispose();
  }
}

/** The pairs to estimate, under which models, and where the estimates go. */
interface Estimation {
  readonly writer: Awaited<ReturnType<typeof continueEstimates>>;
  readonly models: Readonly<Record<Pole, Awaited<ReturnType<typeof openPole>>>>;
  readonly examples: readonly TokenizedExample[];
  /** The examples as each model sees them. */
  readonly views: Readonly<Record<Pole, readonly TokenizedExample[]>>;
}
