/**
 * The findings in a model folder and in data files, through the readers and the tokenization that
 * training uses.
 */
import { createHash } from "node:crypto";
import { chatOf } from "../data/chat/chat.ts";
import type { TokenizedExample } from "../data/example.ts";
import { columnValue, type SkippedRecord } from "../data/files/convert.ts";
import { type RecordPlace, readRecords } from "../data/files/read.ts";
import type { Finding, Form } from "../data/forms/form.ts";
import { type ColumnName, forms } from "../data/forms/index.ts";
import type { TokenizedData } from "../data/tokenize.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import { UserError } from "../errors.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import type { Dtype } from "../number-formats.ts";
import type { Objective } from "../objectives/objective.ts";
import type { Recipe } from "../recipe/schema.ts";
import { modelPath, openModelFolder } from "../storage/folder.ts";
import { loadModelTokenizer } from "../storage/model-tokenizer.ts";
import { elementCount } from "../storage/safetensors-header.ts";
import { oneOf } from "../words.ts";
import { type AdapterFindings, inspectAdapter } from "./adapter.ts";

export interface ModelFindings {
  /** As it was given: a model folder, or a run's. */
  readonly path: string;
  readonly configuration: ModelConfiguration;
  readonly tokenizer: Tokenizer;
  /** Of the model without an adapter. */
  readonly parameters: number;
  /** The number formats of the model's stored weights, such as `BF16`. */
  readonly dtypes: readonly Dtype[];
  readonly adapter: AdapterFindings;
  /**
   * Differences between the model's files and its configuration, and settings of the tokenizer's
   * files without effect.
   */
  readonly notes: readonly string[];
}

/** The names of the columns where they are not the usual ones, as in a recipe. */
export type Columns = Recipe["data"]["columns"];

export interface DataSource {
  /** As they were given. */
  readonly files: readonly string[];
  readonly columns: Columns;
  readonly form: Form;
}

export interface DataFindings extends DataSource {
  /** Pairs, texts or whatever the form has, as far as they can be used. */
  readonly items: readonly unknown[];
  readonly records: number;
  readonly skipped: readonly SkippedRecord[];
  /** Different prompts, as the split into training and held-out pairs tells them apart. */
  readonly prompts: number;
  /** Records that equal an earlier one. */
  readonly duplicates: number;
  /** Pairs whose answer holds further turns of a dialogue. */
  readonly multiTurnAnswers: number;
  /** Pairs whose answers both began with the prompt, which is taken off them here. */
  readonly repeatedPrompts: number;
  /** Pairs with the prompt and the answers of an earlier one, but the answers swapped. */
  readonly contradictions: number;
  /** The names of columns that nothing reads. */
  readonly unusedColumns: readonly string[];
  /** Tokenized and not cut: all records, or an evenly spread sample. */
  readonly examples: readonly TokenizedExample[];
  /** Examples whose two answers are the same tokens. */
  readonly identicalAfterTokenizing: number;
}

/**
 * Of more records than this, an evenly spread sample is tokenized, which shows the lengths well
 * enough.
 */
export const largestSample = 5000;

/** Records tokenized between two reports of progress. */
const sliceSize = 20;

/** Opens a model and its tokenizer; the weights stay on the disk. */
export async function inspectModel(path: string): Promise<ModelFindings> {
  const folder = await openModelFolder(modelPath(path));
  const { configuration } = folder;
  const tokenizer = await loadModelTokenizer(folder);
  const entries = [...(folder.base ?? folder).parameters.values()];
  return {
    ...{ path, configuration, tokenizer },
    parameters: entries.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    dtypes: [...new Set(entries.map(({ dtype }) => dtype))],
    adapter: inspectAdapter(folder),
    notes: [...folder.notes, ...tokenizer.warnings],
  };
}

/**
 * Finds out which form of data the files hold: what the first record says that has a column of one.
 *
 * @throws UserError where no record has one, files differ, or the named columns belong to no one
 * form.
 */
export async function inspectFormat(files: readonly string[], columns: Columns): Promise<DataSource> {
  const named = Object.keys(columns).filter((name) => columns[name as ColumnName] !== undefined);
  const possible: readonly Form[] = forms.filter((form) => named.every((name) => name in form.columns));
  if (possible.length === 0) {
    const kinds = oneOf(forms.map(({ items }) => items));
    throw new UserError(`name the columns of one form of data: ${kinds}`, { field: "columns" });
  }
  const found: Form[] = [];
  for (const file of files) {
    const form = await formOf(file, columns, possible);
    found.push(form);
    if (form !== found[0])
      throw new UserError(`holds ${form.items}, but ${files[0]} holds ${found[0]!.items}`, { file });
  }
  return { files, columns, form: found[0]! };
}

async function formOf(file: string, columns: Columns, possible: readonly Form[]): Promise<Form> {
  const nameOf = (column: string) => columns[column as ColumnName] ?? column;
  let unknown: { names: string[]; place: RecordPlace } | undefined;
  let unreadable: { problem: string; place: RecordPlace } | undefined;
  for await (const record of readRecords(file)) {
    if ("problem" in record) {
      unreadable ??= record;
      continue;
    }
    const { fields, place } = record;
    const form = possible.find(({ signs }) => signs.some((sign) => columnValue(fields, nameOf(sign)) !== undefined));
    if (form) return form;
    unknown ??= { names: Object.keys(fields).map((name) => `\`${name}\``), place };
  }
  if (!unknown) throw new UserError(`no record can be read; this one ${unreadable!.problem}`, unreadable!.place);
  const wanted = possible.map(
    ({ items, signs }) => `${items} (${signs.map((sign) => `\`${nameOf(sign)}\``).join(", ")})`,
  );
  const none = possible.length === 1 ? `no ${wanted[0]}` : `neither ${wanted.join(" nor ")}`;
  throw new UserError(`holds ${none}: the record has ${unknown.names.join(", ") || "no fields"}`, {
    ...unknown.place,
    hint: "name its columns, such as `columns: { prompt: question, chosen: good, rejected: bad }` or `columns: { text: content }`",
  });
}

/**
 * Reads all records, bad ones counted, and tokenizes them or a sample of them as the objective
 * will.
 *
 * @param onProgress told how many of the records to tokenize are done
 * @throws UserError for files that cannot be read, where no record is usable, and for a tokenizer
 * that is not the model's.
 */
export async function inspectData(
  { files, columns, form }: DataSource,
  { configuration, tokenizer }: Pick<ModelFindings, "configuration" | "tokenizer">,
  objective: Objective,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<DataFindings> {
  // Lengths before any cutting; whether they fit is what the recipe is to say.
  const options = { maxLength: Number.MAX_SAFE_INTEGER, modelVocabularySize: configuration.vocabularySize };
  const settings = { columns, onBadPair: "skip", repeatedPrompt: "strip", chat: chatOf(tokenizer, {}) } as const;
  const found = await form.read(files, settings);
  const { items, skipped, unused, tallies } = found;
  const counted = (finding: Finding) => tallies[finding]?.count ?? 0;
  const tokenize = (part: unknown[]) => form.tokenize(part, tokenizer, { ...options, responses: objective.responses });
  return {
    ...{ files, columns, form, items, records: items.length, skipped, unusedColumns: [...unused.keys()] },
    prompts: form.promptKey ? countDifferent(items, form.promptKey) : 0,
    duplicates: tallies.repeats?.count ?? items.length - countDifferent(items, (item) => textsOf(form, item)),
    repeatedPrompts: counted("repeatedPrompts"),
    contradictions: counted("contradictions"),
    multiTurnAnswers: counted("multiTurnAnswers"),
    ...(await tokenizeSample(items, tokenize, onProgress)),
  };
}

/** All texts of an item. */
function textsOf(form: Form, item: unknown): string {
  const requests = form.requests([item], Math.max(...form.responses)).flat();
  return JSON.stringify(requests.map(({ text }) => text));
}

/** Counts by hash, so that the texts are not held twice. */
function countDifferent<Item>(items: readonly Item[], key: (item: Item) => string): number {
  return new Set(items.map((item) => createHash("sha256").update(key(item)).digest("base64"))).size;
}

async function tokenizeSample<Item>(
  items: readonly Item[],
  tokenize: (items: Item[]) => Promise<TokenizedData>,
  onProgress: (done: number, total: number) => void,
): Promise<Pick<DataFindings, "examples" | "identicalAfterTokenizing">> {
  const total = Math.min(items.length, largestSample);
  const sample = Array.from({ length: total }, (_, index) => items[Math.floor((index * items.length) / total)]!);
  const examples: TokenizedExample[] = [];
  let identicalAfterTokenizing = 0;
  for (let start = 0; start < total; start += sliceSize) {
    const part = await tokenize(sample.slice(start, start + sliceSize));
    examples.push(...part.examples);
    identicalAfterTokenizing += part.report.identicalAfterTokenizing;
    onProgress(examples.length, total);
  }
  return { examples, identicalAfterTokenizing };
}
