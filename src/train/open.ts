import { templateToKeep } from "../data/chat/chat.ts";
import type { Engine } from "../engine/engine.ts";
import type { InterruptibleEngine } from "../engine/interruptible.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Reporter } from "../report.ts";
import { checkpointModel, type Progress, restoreOptimizer } from "../runs/checkpoint.ts";
import { checkRoom, type RunSizes, runSizes } from "../runs/disk-room.ts";
import { FrozenModels, frozenFolders } from "../runs/frozen-models.ts";
import { checkObjectiveState, fingerprintOf, progressOfSame } from "../runs/resume.ts";
import type { Beginning } from "../step/diverging.ts";
import { Optimizer } from "../step/optimizer.ts";
import { Trainer } from "../step/trainer.ts";
import { beforeTraining, loadLanguageModel } from "../storage/load-model.ts";
import { type FolderFiles, readCompanions } from "../storage/save-folder.ts";
import type { RunPlan } from "./plan.ts";
import { type PreparedReference, prepareReference } from "./reference.ts";
import { HeldOutSampler } from "./samples.ts";

/** A run whose models are loaded and whose folder is ready: all that the loop needs. */
export interface OpenRun {
  readonly engine: Engine;
  readonly policy: LanguageModel;
  readonly trainer: Trainer;
  readonly sampler: HeldOutSampler | undefined;
  readonly reference: PreparedReference | undefined;
  /** The models that do not train, watched for changes of their files. */
  readonly frozen: FrozenModels;
  /** The files that a saved model takes over from the one it began as. */
  readonly companions: FolderFiles;
  /** The sizes of what the run writes, in bytes. */
  readonly sizes: RunSizes;
  /** The state of the run. */
  readonly progress: Progress;
  /** True if the evaluation at that place is on record already. */
  readonly evaluated: boolean;
  /** The figures that it began with, as far as they are on record. */
  readonly beginning: Beginning;
}

export interface OpenOptions {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
}

/**
 * Loads the models of a run, restores its checkpoint, and prepares its folder.
 *
 * @returns undefined, with nothing written, when `signal` is aborted before the folder is touched
 * @throws UserError for models or checkpoints that cannot be read, before anything is written or
 * removed.
 */
export async function openRun(
  plan: RunPlan,
  engine: InterruptibleEngine,
  { signal, reporter }: OpenOptions,
): Promise<OpenRun | undefined> {
  const { recipe, start, checkpoint, folder } = plan;
  const companions = withTemplate(await readCompanions(start.tokenizerFolder), plan);
  const frozen = await FrozenModels.of(frozenFolders(start, plan.reference));
  const policy = checkpoint ? await start.resume(engine, checkpointModel(checkpoint)) : await start.load(engine);
  const optimizer = new Optimizer(engine, recipe.optimizer, policy.trainable);
  const progress = await restore(plan, engine, optimizer, frozen);
  if (checkpoint) reporter.note(`resumed at step ${progress.step}`);
  const sizes = runSizes(policy, optimizer, companions, recipe.dtype);
  await checkRunRoom(plan, sizes);
  // A reference that cannot be read shows before anything is written or removed.
  const other = await loadOther(plan, engine, policy);
  if (signal.aborted) return undefined;
  if (plan.replaces) await folder.remove();
  await folder.writeRecipe(plan.asked, plan.ownObjective ? plan.objective.name : undefined);
  const { evaluated, beginning } = await folder.rewindMetrics(progress.step);
  const reference = await prepared(plan, engine, { policy, other, frozen, signal, reporter });
  const trainer = makeTrainer(plan, engine, { policy, optimizer, reference });
  if (progress.objective) trainer.objectiveState = progress.objective;
  const sampler = makeSampler(plan, engine, { policy, reference: reference?.model });
  return { engine, policy, trainer, sampler, reference, frozen, companions, sizes, progress, evaluated, beginning };
}

/** A model that learns to answer behind a template which it did not have keeps that template. */
function withTemplate(companions: FolderFiles, { recipe, start }: RunPlan): FolderFiles {
  const text = templateToKeep(start.tokenizer, recipe.data.template);
  return text === undefined ? companions : new Map([...companions, ["chat_template.jinja", Buffer.from(text)]]);
}

/** @throws UserError if the disk has no room for the run, beside what it replaces. */
async function checkRunRoom({ folder, replaces }: RunPlan, sizes: RunSizes): Promise<void> {
  const there = await folder.bytes();
  // A run that goes on keeps its newest checkpoint until the next one is there.
  await checkRoom(folder.path, sizes, replaces ? there : Math.min(there, sizes.checkpoint));
}

/**
 * The state of the run: at its beginning, or at its checkpoint, whose state goes into the
 * optimizer.
 */
async function restore(
  { train, objective, checkpoint }: RunPlan,
  engine: Engine,
  optimizer: Optimizer,
  frozen: FrozenModels,
): Promise<Progress> {
  const { fingerprint } = frozen;
  const beginning: Progress = {
    step: 0,
    examples: 0,
    position: { epoch: 0, index: 0 },
    data: fingerprintOf(train),
    ...(fingerprint !== undefined && { frozen: fingerprint }),
  };
  if (!checkpoint) return beginning;
  const progress = await progressOfSame(checkpoint, beginning);
  checkObjectiveState(checkpoint, progress, objective);
  await restoreOptimizer(engine, checkpoint, optimizer, progress.step);
  return progress;
}

/** The reference, where it is another model than the one that the run begins with. */
async function loadOther({ reference }: RunPlan, engine: InterruptibleEngine, policy: LanguageModel) {
  if (!reference || reference === "start") return undefined;
  return loadLanguageModel(engine, reference, { like: policy, frozen: true });
}

/** The reference of the run with its cache; undefined where there is none. */
async function prepared(
  plan: RunPlan,
  engine: InterruptibleEngine,
  loaded: { policy: LanguageModel; other: LanguageModel | undefined; frozen: FrozenModels } & OpenOptions,
): Promise<PreparedReference | undefined> {
  const { recipe, start, train, heldOut, folder, checkpoint } = plan;
  const { policy, other, frozen, signal, reporter } = loaded;
  if (!plan.reference) return undefined;
  const source = plan.reference === "start" ? start.folder : plan.reference;
  const load = async () => {
    if (other) return other;
    if (policy.adapter) return beforeTraining(engine, policy, start.folder!);
    return start.load(engine, { like: policy, frozen: true });
  };
  return prepareReference(recipe, {
    engine,
    policy,
    policyIsReference: plan.reference === "start" && !checkpoint && !policy.adapter,
    fingerprint: source && frozen.fingerprintOf(source),
    load,
    train,
    heldOut,
    file: folder.referenceCache,
    signal,
    events: reporter,
  });
}

function makeTrainer(
  { recipe, objective, totalSteps }: RunPlan,
  engine: InterruptibleEngine,
  models: { policy: LanguageModel; optimizer: Optimizer; reference: PreparedReference | undefined },
): Trainer {
  const { policy, optimizer, reference } = models;
  const trainer = new Trainer({
    engine,
    policy,
    reference: reference?.model,
    objective,
    optimizer,
    schedule: { learningRate: recipe.learningRate, warmupSteps: recipe.warmupSteps, decay: recipe.schedule },
    totalSteps,
    maxGradientNorm: recipe.maxGradientNorm,
    microbatch: recipe.microbatch,
    activationCheckpointing: recipe.activationCheckpointing,
    seed: recipe.seed,
  });
  trainer.learner.referenceCache = reference?.cache;
  return trainer;
}

function makeSampler(
  { recipe: { evaluation, seed }, start, heldOut }: RunPlan,
  engine: InterruptibleEngine,
  models: ConstructorParameters<typeof HeldOutSampler>[1],
): HeldOutSampler | undefined {
  const { samples } = evaluation;
  return samples > 0 ? new HeldOutSampler(engine, models, start.tokenizer, heldOut, { samples, seed }) : undefined;
}
