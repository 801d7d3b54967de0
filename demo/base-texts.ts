/**
 * Makes the texts that the demo's base model learns: the first sentences of every review of the
 * IMDb data set (Maas et al. 2011), at most 360 characters of whole sentences, so that a model of
 * this size learns to write a short review and to end it.
 *
 *     npx tsx demo/base-texts.ts FOLDER > runs/base-texts.jsonl
 *
 * FOLDER holds `train.parquet` and `unsupervised.parquet`.
 */
import path from "node:path";
import { readTexts } from "../src/data/forms/text.ts";

const longest = 360;
const sentences = new Intl.Segmenter("en", { granularity: "sentence" });
const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: npx tsx demo/base-texts.ts FOLDER");

/** The whole sentences at the start of a review that fit; empty if not even the first does. */
function opening(review: string): string {
  const plain = review
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  let kept = "";
  for (const { segment } of sentences.segment(plain)) {
    if (kept.length + segment.trimEnd().length > longest) break;
    kept += segment;
  }
  return kept.trim();
}

const { texts } = await readTexts(["unsupervised.parquet", "train.parquet"].map((name) => path.join(folder, name)));
for (const { text } of texts) {
  const short = opening(text);
  if (short !== "") process.stdout.write(`${JSON.stringify({ text: short })}\n`);
}
