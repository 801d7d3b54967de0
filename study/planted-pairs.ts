/**
 * Makes preference pairs of which it is known what tokens decide: sentences of reviews (IMDb, Maas
 * et al. 2011) whose sentiment words are replaced by positive ones in the chosen and by negative
 * ones in the rejected answer, and as many neutral words by any others in both.
 *
 *     npx tsx study/planted-pairs.ts FOLDER --output runs/study/data
 *
 * FOLDER holds `train.parquet` and `test.parquet`.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { readRecords } from "../src/data/files/read.ts";
import { UserError } from "../src/errors.ts";
import { writeFileAtomic } from "../src/files/file-system.ts";
import { Random } from "../src/random.ts";
import { splitGroups, type WordGroups } from "./deciding-words.ts";
import { type LabelledSentence, type NeutralWordOptions, NeutralWords } from "./neutral-words.ts";
import { type PlantedPair, plant } from "./plant.ts";
import { plainSentences } from "./sentences.ts";

export interface PlantingOptions {
  readonly train: number;
  readonly test: number;
  readonly seed: number;
  /** The share of training pairs that are swapped. */
  readonly noise: number;
  readonly neutral?: NeutralWordOptions | undefined;
}

export interface PlantedPairs {
  readonly train: PlantedPair[];
  readonly test: PlantedPair[];
  readonly groups: { readonly train: WordGroups; readonly test: WordGroups };
}

/**
 * Plants pairs into sentences. Deciding words and prompts of the test are not in training; neutral
 * words are those of the training sentences for both.
 *
 * @throws UserError if the sentences do not give as many pairs, the noise is no share or a count no
 * count.
 */
export function plantPairs(
  sentences: { readonly train: readonly LabelledSentence[]; readonly test: readonly LabelledSentence[] },
  { train: trainCount, test: testCount, seed, noise, neutral }: PlantingOptions,
): PlantedPairs {
  if (!(noise >= 0 && noise <= 1)) throw new UserError(`must be from 0 to 1, got ${noise}`, { field: "noise" });
  for (const [field, count] of Object.entries({ train: trainCount, test: testCount })) {
    if (!Number.isInteger(count) || count < 0)
      throw new UserError(`must be a whole number from 0, got ${count}`, { field });
  }
  const groups = splitGroups(Random.from(seed, "groups"));
  const neutralWords = new NeutralWords(sentences.train, neutral);
  const used = new Set<string>();
  const trainPrompts = new Set<string>();

  const plantAll = (side: "train" | "test", wanted: number): PlantedPair[] => {
    const random = Random.from(seed, side);
    const pairs: PlantedPair[] = [];
    for (const { text } of random.shuffle([...sentences[side]])) {
      if (pairs.length === wanted) break;
      if (used.has(text)) continue;
      const pair = plant(text, groups[side], neutralWords, side === "test" ? trainPrompts : new Set(), random);
      if (pair === undefined) continue;
      used.add(text);
      pairs.push(pair);
    }
    if (pairs.length < wanted)
      throw new UserError(`the sentences for ${side} give ${pairs.length} pairs, not ${wanted}`);
    return pairs;
  };
  const train = plantAll("train", trainCount);
  for (const { prompt } of train) trainPrompts.add(prompt);
  const test = plantAll("test", testCount);
  const order = Random.from(seed, "noise").shuffle(train.map((_, index) => index));
  for (const index of order.slice(0, Math.round(noise * train.length))) train[index] = swapped(train[index]!);
  return { train, test, groups };
}

function swapped(pair: PlantedPair): PlantedPair {
  return {
    prompt: pair.prompt,
    chosen: pair.rejected,
    rejected: pair.chosen,
    swapped: !pair.swapped,
    chosen_deciding: pair.rejected_deciding,
    rejected_deciding: pair.chosen_deciding,
    chosen_differing: pair.rejected_differing,
    rejected_differing: pair.chosen_differing,
  };
}

/** The sentences of the reviews in `train.parquet` and `test.parquet`. */
export async function readSentences(folder: string): Promise<Record<"train" | "test", LabelledSentence[]>> {
  return {
    train: await sentencesOf(path.join(folder, "train.parquet")),
    test: await sentencesOf(path.join(folder, "test.parquet")),
  };
}

/** Writes `train.jsonl` and `test.jsonl` into a folder; returns their paths. */
export async function writePairs(planted: PlantedPairs, folder: string): Promise<Record<"train" | "test", string>> {
  const files = { train: path.join(folder, "train.jsonl"), test: path.join(folder, "test.jsonl") };
  for (const side of ["train", "test"] as const) {
    await writeFileAtomic(files[side], planted[side].map((pair) => `${JSON.stringify(pair)}\n`).join(""));
  }
  return files;
}

async function sentencesOf(file: string): Promise<LabelledSentence[]> {
  const sentences: LabelledSentence[] = [];
  for await (const record of readRecords(file, { columns: ["text", "label"] })) {
    if ("problem" in record) throw new UserError(record.problem, record.place);
    const { text, label } = record.fields;
    if (typeof text !== "string") throw new UserError("must be a text", { ...record.place, field: "text" });
    for (const sentence of plainSentences(text)) sentences.push({ text: sentence, positive: Number(label) === 1 });
  }
  return sentences;
}

interface Options {
  output: string;
  train: number;
  test: number;
  seed: number;
  noise: number;
}

async function main(folder: string, { output, ...options }: Options): Promise<void> {
  const planted = plantPairs(await readSentences(folder), options);
  await writePairs(planted, output);
  for (const side of ["train", "test"] as const) {
    const pairs = planted[side];
    const [positive, negative] = [decidingWords(pairs, true).size, decidingWords(pairs, false).size];
    console.log(`${side}: ${pairs.length} pairs, ${positive} positive and ${negative} negative deciding words`);
  }
}

/** The different words that decide for, or against, the answers in which they stand. */
export function decidingWords(pairs: readonly PlantedPair[], positive: boolean): Set<string> {
  return new Set(
    pairs.flatMap((pair) => {
      const side = pair.swapped === positive ? "rejected" : "chosen";
      return pair[`${side}_deciding`].map(([start, end]) => pair[side].slice(start, end));
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const number = Number;
  await new Command("planted-pairs")
    .argument("<folder>", "folder with train.parquet and test.parquet of IMDb")
    .requiredOption("--output <folder>", "folder for train.jsonl and test.jsonl")
    .option("--train <count>", "training pairs", number, 1000)
    .option("--test <count>", "test pairs", number, 400)
    .option("--seed <number>", "seed of all chance", number, 0)
    .option("--noise <share>", "share of training pairs that are swapped", number, 0.1)
    .action(main)
    .parseAsync();
}
