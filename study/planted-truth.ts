/**
 * The planted-truth study: do the log-ratios of contrastive models find the tokens that decide a
 * preference, and does training with weights made of them help? The truth is known, because it was
 * planted (see `planted-pairs.ts`); the words that decide in the test are unseen in training.
 *
 *     npx tsx study/planted-truth.ts FOLDER
 *
 * FOLDER holds `train.parquet` and `test.parquet` of the IMDb data set.
 *
 * Results are added to `runs/study/results.jsonl`; what is there already is not done again.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { Command } from "commander";
import { parse } from "yaml";
import { progressReporter } from "../src/cli/terminal/progress.ts";
import { loadTokenizer } from "../src/data/tokens/load-tokenizer.ts";
import { tokenPieces } from "../src/generate/text-stream.ts";
import { openEstimates, readEstimates } from "../src/importance/estimates-file.ts";
import { logRatios } from "../src/importance/weigh-examples.ts";
import { parseRecipe } from "../src/recipe/parse.ts";
import { estimatesFile, type WeightedRecipe } from "../src/runs/token-weights.ts";
import { trainRun } from "../src/train/run.ts";
import { weigh } from "../src/weigh/weigh.ts";
import { type PlantedPairs, plantPairs, readSentences, writePairs } from "./planted-pairs.ts";
import { rankingScores, WordFrequencyBaseline } from "./ranking.ts";
import { type Result, Results, rankingTable, trainingTable } from "./results.ts";
import { TokenRanking } from "./token-ranking.ts";

interface Options {
  output: string;
  seeds: number;
  noise: number[];
  train: number;
  test: number;
}

type Settings = Readonly<Record<string, unknown>>;

/**
 * A model that has learned the training's words by heart says little of other words: contrastive
 * models learn more slowly.
 */
const training = { learningRate: 3e-5 };
const constructions = {
  "(P) prompts": { from: "prompts", preset: "sentiment" },
  "(S) sft": { from: "sft", training },
  "(D) dpo": { from: "dpo", training },
} as const;
const baseline = "word frequency";

async function study(folder: string, options: Options): Promise<void> {
  const started = performance.now();
  const results = await Results.open(path.join(options.output, "results.jsonl"));
  const sentences = await readSentences(folder);
  await mkdir(options.output, { recursive: true });
  for (const noise of options.noise) {
    for (let seed = 0; seed < options.seeds; seed++) {
      const pairs = plantPairs(sentences, { ...options, seed, noise });
      await oneSeed(pairs, noise, seed, path.join(options.output, `noise-${noise}`, `seed-${seed}`), results);
    }
  }
  const all = await results.read();
  console.log(rankingTable(all, [...Object.keys(constructions), baseline], options.noise));
  console.log(`\n${trainingTable(all, options.noise)}`);
  console.log(`\n${Math.round((performance.now() - started) / 1000)} seconds`);
}

/** All constructions and methods on one set of pairs. */
async function oneSeed(pairs: PlantedPairs, noise: number, seed: number, output: string, results: Results) {
  const record = (name: string, figures: Result["figures"]) => results.add({ noise, seed, name, figures });
  const done = (name: string) => results.has({ noise, seed, name });
  const files = await writePairs(pairs, output);
  const common = parse(await readFile(new URL("planted-truth.yaml", import.meta.url), "utf8")) as Settings;
  const settings = {
    ...common,
    seed,
    data: { ...(common.data as Settings), train: files.train, evaluation: files.test },
  };

  const weighted: Record<string, Settings> = {};
  for (const [name, construction] of Object.entries(constructions)) {
    const contrastive = path.join(output, construction.from);
    const weights = { ...construction, folder: contrastive };
    weighted[`tis-dpo ${name}`] = { objective: { name: "tis-dpo", beta: 0.1 }, weights };
    if (done(name)) continue;
    const recipe = recipeOf({ ...settings, output: path.join(output, "unused"), ...weighted[`tis-dpo ${name}`] });
    await weigh(recipe as WeightedRecipe, { reporter: progressReporter() });
    await record(name, await rankingOf(recipe as WeightedRecipe, pairs));
  }
  if (!done(baseline)) await record(baseline, await baselineRanking(pairs, "demo/model"));

  const weights = { ...constructions["(D) dpo"], folder: path.join(output, "dpo") };
  const magnitudeOf = (from: "sft" | "dpo"): Settings => ({
    objective: { name: "tis-dpo", beta: 0.1 },
    weights: { from, training, folder: path.join(output, from), transform: { name: "magnitude" } },
  });
  const methods: Record<string, Settings> = {
    dpo: { objective: { name: "dpo", beta: 0.1 } },
    tdpo2: { objective: { name: "tdpo2", beta: 0.1, alpha: 0.5 } },
    ...weighted,
    "tis-dpo (S) sft, magnitude": magnitudeOf("sft"),
    "tis-dpo (D) dpo, magnitude": magnitudeOf("dpo"),
    "tis-dpo, random weights": {
      objective: { name: "tis-dpo", beta: 0.1 },
      // As far apart as the paper's weights can be.
      weights: { ...weights, transform: { name: "random", least: Math.exp(-0.5), most: Math.exp(1.5) } },
    },
    "tis-dpo, all ones": {
      objective: { name: "tis-dpo", beta: 0.1 },
      weights: { ...weights, transform: { name: "ones" } },
    },
  };
  for (const [name, changes] of Object.entries(methods)) {
    if (done(name)) continue;
    const figures = await trained(recipeOf({ ...settings, output: path.join(output, "run"), ...changes }));
    await record(name, figures);
  }
  await rm(path.join(output, "run"), { recursive: true, force: true });
}

function recipeOf(settings: Settings) {
  return parseRecipe(JSON.stringify(settings), "the study's recipe");
}

/**
 * Trains, and takes the last evaluation's figures: of β Σρ without weights, so that methods
 * compare.
 */
async function trained(recipe: ReturnType<typeof recipeOf>): Promise<Record<string, number>> {
  let last: Readonly<Record<string, number | string>> = {};
  const reporter = progressReporter();
  await trainRun(recipe, {
    overwrite: existsSync(path.join(recipe.output, "recipe.yaml")),
    reporter: {
      ...reporter,
      record(record) {
        if (record.split === "evaluation") last = record;
        reporter.record(record);
      },
    },
  });
  return {
    accuracy: Number(last["plain_rewards/accuracies"]),
    margin: Number(last["plain_rewards/margins"]),
    seqKlChosen: Number(last["seq_kl/chosen"]),
    seqKlRejected: Number(last["seq_kl/rejected"]),
  };
}

/** How well the log-ratios rank the deciding tokens of the test pairs. */
async function rankingOf(recipe: WeightedRecipe, { train: training, test }: PlantedPairs) {
  const tokenizer = await loadTokenizer(recipe.model!);
  const ranking = new TokenRanking();
  let index = -training.length;
  for await (const pair of readEstimates(await openEstimates(estimatesFile(recipe)))) {
    const planted = test[index++];
    if (!planted) continue;
    for (const side of ["chosen", "rejected"] as const) {
      // The end token's piece is no part of the answer.
      const pieces = tokenPieces(tokenizer, Array.from(pair[side].tokens).slice(0, -1), pair.prompt);
      ranking.add(planted, side, pieces, rankingScores(logRatios(pair[side]).slice(0, -1), side));
    }
  }
  return ranking.figures;
}

async function baselineRanking({ train: training, test }: PlantedPairs, model: string) {
  const tokenizer = await loadTokenizer(model);
  const words = new WordFrequencyBaseline(training);
  const ranking = new TokenRanking();
  for (const pair of test) {
    for (const side of ["chosen", "rejected"] as const) {
      const [tokens] = await tokenizer.encode([{ text: pair[side], continues: false }]);
      const pieces = tokenPieces(tokenizer, Array.from(tokens!));
      ranking.add(pair, side, pieces, rankingScores(words.tokenScores(pieces), side));
    }
  }
  return ranking.figures;
}

await new Command("planted-truth")
  .argument("<folder>")
  .option("--output <folder>", "runs and results", "runs/study")
  .option("--seeds <count>", "seeds, from 0 on", Number, 3)
  .option("--noise <shares>", "label noise", (text: string) => text.split(",").map(Number), [0, 0.1, 0.2])
  .option("--train <count>", "training pairs", Number, 2000)
  .option("--test <count>", "test pairs", Number, 400)
  .action(study)
  .parseAsync();
