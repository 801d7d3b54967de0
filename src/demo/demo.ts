/**
 * The demo: aligns the small model that comes with tokenwise to write friendly film reviews, and
 * measures what that changed. All of it is what `tokenwise train`, `evaluate` and `generate` do;
 * only the comparison of the reviews' sentiment is its own.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import { createEngine } from "../engine/create.ts";
import type { Engine } from "../engine/engine.ts";
import { type EvaluationReporter, evaluate } from "../evaluate/evaluate.ts";
import { tokenDivergences } from "../evaluate/samples.ts";
import { defaultGenerateOptions, type Generation, generate } from "../generate/generate.ts";
import { encodePrompts, readPrompts } from "../generate/prompts.ts";
import { tokenPieces } from "../generate/text-stream.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { vaderScorer } from "../pairs/lexicon-scorers.ts";
import { readRecipe } from "../recipe/parse.ts";
import type { Reporter } from "../report.ts";
import { RunFolder } from "../runs/run-folder.ts";
import { openModelFolder } from "../storage/folder.ts";
import { loadLanguageModel } from "../storage/load-model.ts";
import { loadModelTokenizer } from "../storage/model-tokenizer.ts";
import { trainRun } from "../train/run.ts";
import { type Difference, pairedDifference } from "./difference.ts";
import { missedTargets } from "./targets.ts";

/** The folder of model, pairs, openings and recipe, in the package. */
const assets = fileURLToPath(new URL("../../demo/", import.meta.url));

const samplesPerOpening = 5;
/** As the pairs were sampled. */
const sampling = { maxNewTokens: 64, temperature: 0.8 };
const reviewsShown = 2;
const fewTokens = 12;

export interface DemoOptions {
  /** The run's folder; an earlier demo's is replaced. */
  readonly output: string;
  readonly threads?: number | undefined;
  readonly signal: AbortSignal;
  readonly training: Reporter;
  readonly evaluation: EvaluationReporter;
}

/** Held-out figures of one model: shares, and nats per answer. */
export interface HeldOutFigures {
  readonly accuracy: number;
  readonly ties: number;
  readonly seqKlChosen: number;
  readonly seqKlRejected: number;
}

export interface DemoFigures {
  readonly heldOutPairs: number;
  readonly before: HeldOutFigures;
  readonly after: HeldOutFigures;
  /** VADER's compound score, -1 to 1, of fresh reviews from openings that no pair begins with. */
  readonly freshSamples: number;
  readonly sentiment: Difference;
  readonly seconds: number;
  readonly run: string;
  readonly passed: boolean;
}

/**
 * Reviews of one opening, and how far the aligned model's distribution lies from the base's at each
 * token of one of them.
 */
export interface DemoExamples {
  readonly opening: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
  /**
   * Pieces of the first review of `after` with KL(base ‖ aligned) where each was drawn, in nats.
   */
  readonly tokens: readonly { readonly text: string; readonly divergence: number }[];
}

/**
 * Trains, measures and compares.
 *
 * @returns undefined if the signal came first
 */
export async function runDemo(
  options: DemoOptions,
): Promise<{ figures: DemoFigures; examples: DemoExamples } | undefined> {
  // The trained model is read again after the training.
  return new RunFolder(options.output).whileLocked(() => alignAndMeasure(options));
}

async function alignAndMeasure(
  options: DemoOptions,
): Promise<{ figures: DemoFigures; examples: DemoExamples } | undefined> {
  const start = performance.now();
  const { output, signal, training, evaluation, threads = availableParallelism() } = options;
  const asset = (name: string) => join(assets, name);
  const recipe = await readRecipe(asset("recipe.yaml"), [
    `model=${JSON.stringify(asset("model"))}`,
    `data.train=${JSON.stringify(asset("pairs.jsonl"))}`,
    `data.evaluation=${JSON.stringify(asset("held-out.jsonl"))}`,
    `output=${JSON.stringify(output)}`,
    `threads=${threads}`,
  ]);
  const trained = await trainRun(recipe, { overwrite: true, locked: true, signal, reporter: training });
  if (trained.status !== "finished") return undefined;

  const evaluations = await evaluate({
    models: [asset("model"), output],
    reference: asset("model"),
    objective: { name: "tdpo2" },
    data: [asset("held-out.jsonl")],
    threads,
    reporter: evaluation,
    signal,
  });
  if (!evaluations) return undefined;
  const [before, after] = evaluations;
  const reviews = await freshReviews([asset("model"), trained.model!], asset("openings/fresh.txt"), options, threads);
  if (!reviews) return undefined;
  const { sentiment, examples } = reviews;
  const figures = {
    heldOutPairs: before!.examples,
    before: heldOutFigures(before!.metrics),
    after: heldOutFigures(after!.metrics),
    freshSamples: reviews.count,
    sentiment,
    seconds: (performance.now() - start) / 1000,
    run: output,
  };
  return { figures: { ...figures, passed: missedTargets(figures).length === 0 }, examples };
}

/** Samples the same openings with both models and compares the reviews. */
async function freshReviews(
  folders: readonly [base: string, aligned: string],
  openingsFile: string,
  { signal, evaluation }: DemoOptions,
  threads: number,
): Promise<{ count: number; sentiment: Difference; examples: DemoExamples } | undefined> {
  const engine = await createEngine({ threads });
  try {
    const openings = await readPrompts(openingsFile);
    const folder = await openModelFolder(folders[0]);
    const tokenizer = await loadModelTokenizer(folder);
    const prompts = await encodePrompts(tokenizer, folder.configuration, openings);
    const base = await loadLanguageModel(engine, folder);
    const aligned = await loadLanguageModel(engine, await openModelFolder(folders[1]), { like: base });
    const models = [
      { name: "the base model", model: base },
      { name: "the aligned model", model: aligned },
    ];
    const answers: Generation[][] = [];
    for (const { name, model } of models) {
      const activity = `sampling reviews from ${name}`;
      const sampled = await sampleReviews(engine, model, tokenizer, prompts, signal, (done) =>
        evaluation.progress({ activity, done, total: prompts.length * samplesPerOpening }),
      );
      if (!sampled) return undefined;
      answers.push(sampled);
    }
    const [before, after] = await Promise.all(answers.map(byOpening));
    const sentiment = pairedDifference(before!.map(meanSentiment), after!.map(meanSentiment));

    const opening = typicalOpening(before!, after!, sentiment);
    const shown = [
      typicalReviews(before![opening]!, sentiment.before),
      typicalReviews(after![opening]!, sentiment.after),
    ];
    const [review] = shown[1]!;
    const divergences = await tokenDivergences(
      engine,
      { policy: aligned, reference: base },
      prompts[opening]!,
      review!.generation,
    );
    const pieces = tokenPieces(tokenizer, review!.generation.tokens, prompts[opening]!);
    const [textsBefore, textsAfter] = shown.map((reviews) => reviews.map(({ generation }) => generation.text));
    const examples = {
      opening: openings[opening]!.text,
      before: textsBefore!,
      after: textsAfter!,
      tokens: pieces.map((text, index) => ({ text, divergence: divergences[index]! })),
    };
    return { count: answers[0]!.length, sentiment, examples };
  } finally {
    engine.dispose();
  }
}

async function sampleReviews(
  engine: Engine,
  model: LanguageModel,
  tokenizer: Tokenizer,
  prompts: readonly Int32Array[],
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<Generation[] | undefined> {
  const answers: Generation[] = [];
  const options = { ...defaultGenerateOptions, ...sampling, samples: samplesPerOpening, seed: 1 };
  for await (const batch of generate(engine, model, tokenizer, prompts, { ...options, signal, onProgress })) {
    answers.push(...batch);
  }
  return signal.aborted ? undefined : answers;
}

/** A review with its sentiment. */
interface Review {
  readonly generation: Generation;
  readonly sentiment: number;
}

/** Scores reviews; those of each opening are together. */
async function byOpening(generations: readonly Generation[]): Promise<Review[][]> {
  const scorer = await vaderScorer();
  const scores = await scorer.score(generations.map(({ text }) => ({ prompt: "", response: text })));
  const reviews = generations.map((generation, index) => ({ generation, sentiment: scores[index]! }));
  return Array.from({ length: reviews.length / samplesPerOpening }, (_, opening) =>
    reviews.slice(opening * samplesPerOpening, (opening + 1) * samplesPerOpening),
  );
}

function meanSentiment(reviews: readonly Review[]): number {
  return reviews.reduce((sum, { sentiment }) => sum + sentiment, 0) / reviews.length;
}

/**
 * The opening whose sentiments lie nearest to the means of all: what is shown is neither the best
 * nor the worst.
 */
function typicalOpening(before: readonly Review[][], after: readonly Review[][], means: Difference): number {
  const distances = before.map((reviews, opening) =>
    Math.hypot(meanSentiment(reviews) - means.before, meanSentiment(after[opening]!) - means.after),
  );
  return distances.indexOf(Math.min(...distances));
}

/**
 * The reviews whose sentiments lie nearest to the mean of all, whole ones of more than a few words
 * first.
 */
function typicalReviews(reviews: readonly Review[], mean: number): Review[] {
  const distance = ({ sentiment, generation: { tokens, end } }: Review) =>
    Math.abs(sentiment - mean) + (tokens.length >= fewTokens && end === "end token" ? 0 : 2);
  return reviews.toSorted((a, b) => distance(a) - distance(b)).slice(0, reviewsShown);
}

function heldOutFigures(metrics: Readonly<Record<string, number>>): HeldOutFigures {
  return {
    accuracy: metrics["rewards/accuracies"]!,
    ties: metrics["rewards/ties"]!,
    seqKlChosen: metrics["seq_kl/chosen"]!,
    seqKlRejected: metrics["seq_kl/rejected"]!,
  };
}
