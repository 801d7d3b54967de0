import { UserError } from "../errors.ts";
import { counted } from "../words.ts";
import type { TokenizedExample } from "./example.ts";
import { type PairOptions, type PreferencePair, readPairs } from "./forms/pairs.ts";
import { type PlainText, readTexts } from "./forms/text.ts";
import { epochOrder } from "./order.ts";
import { type Remarks, remarkPairs, remarkRecords } from "./remarks.ts";
import { showExample } from "./shown-example.ts";
import { countSharedPrompts, splitByPrompt } from "./split.ts";
import { type TokenizedData, tokenizeChosen, tokenizePairs, tokenizeTexts } from "./tokenize.ts";
import { isContinuation } from "./tokens/boundaries.ts";
import { userCacheFolder } from "./tokens/cache-folder.ts";
import { RememberedTokens } from "./tokens/remembered-tokens.ts";
import { TokenCache } from "./tokens/token-cache.ts";
import type { TextRequest, Tokenizer } from "./tokens/tokenizer.ts";
import { type SpecialTokensSetting, WrittenTokens } from "./written-tokens.ts";

/** The examples of a run, and what became of the data on the way, in sentences for the user. */
export interface RunExamples {
  readonly train: readonly TokenizedExample[];
  readonly heldOut: readonly TokenizedExample[];
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

interface ModelLimits {
  readonly contextLength: number;
  /** See `ModelConfiguration`. */
  readonly shortContextLength?: number | undefined;
  readonly vocabularySize: number;
}

/** The settings of a recipe that determine the examples. */
export interface DataSettings {
  readonly data: {
    readonly train: string | readonly string[];
    readonly evaluation?: string | readonly string[] | undefined;
    readonly heldOut: number;
    readonly format: "pairs" | "text";
    readonly columns: NonNullable<PairOptions["columns"]> & { readonly text?: string | undefined };
    readonly onBadPair: "error" | "skip";
    readonly repeatedPrompt: "keep" | "strip";
    readonly specialTokens?: SpecialTokensSetting | undefined;
    readonly limit?: number | undefined;
    readonly maxLength?: number | undefined;
    readonly maxPromptLength?: number | undefined;
    readonly truncation: "keep_end" | "keep_start";
    readonly pack: boolean;
  };
  readonly seed: number;
  readonly evaluation: { readonly examples: number };
}

/**
 * Reads, splits and tokenizes the data that a recipe names.
 *
 * @param responses 2 for both answers of each pair, 1 for the chosen one alone
 * @param options.heldOutOnly leave the training side empty, and unread where it can be
 * @param options.heldOutName what notes call the other side
 * @throws UserError for bad files, bad pairs (unless they are skipped), impossible limits, or a
 * tokenizer that is not the model's.
 */
export async function prepareExamples(
  recipe: DataSettings,
  responses: 1 | 2,
  tokenizer: Tokenizer,
  model: ModelLimits,
  { heldOutOnly = false, heldOutName = "held-out" }: { heldOutOnly?: boolean; heldOutName?: string } = {},
): Promise<RunExamples> {
  const remarks: Remarks = { notes: [], warnings: [] };
  const { format, pack, maxLength, maxPromptLength, truncation, specialTokens } = recipe.data;
  const options = {
    maxLength,
    maxPromptLength,
    truncation,
    contextLength: model.contextLength,
    shortContextLength: model.shortContextLength,
    modelVocabularySize: model.vocabularySize,
    specialTokens,
  };
  const reading = specialTokens === "text" ? await tokenizer.readingSpecialTokensAsText() : tokenizer;
  const tokens = new RememberedTokens(reading, tokenCache(recipe, remarks, heldOutOnly));
  const { tokenizer: remembering } = tokens;
  const names = ["training", heldOutName] as const;
  let examples: RunExamples;
  if (format === "text") {
    const { train, heldOut } = await readSplitTexts(recipe, remarks, heldOutOnly, (texts) =>
      tokens.expect([texts.map(({ text }) => ({ text, continues: false }))]),
    );
    const tokenize = (texts: readonly PlainText[]) => tokenizeTexts(texts, remembering, { ...options, pack });
    examples = await tokenized(recipe, heldOutOnly ? [] : train, heldOut, tokenize, names, remarks);
  } else {
    const isPair = responses === 2;
    const { train, heldOut } = await readSplitPairs(recipe, remarks, heldOutOnly, (pairs) =>
      tokens.expect(columnsOf(pairs, isPair ? ["chosen", "rejected"] : ["chosen"])),
    );
    const tokenizeAll = isPair ? tokenizePairs : tokenizeChosen;
    const tokenize = (pairs: readonly PreferencePair[]) => tokenizeAll(pairs, remembering, options);
    examples = await tokenized(recipe, heldOutOnly ? [] : train, heldOut, tokenize, names, remarks);
  }
  await tokens.keep();
  const first = examples.train[0] ?? examples.heldOut[0];
  if (first) remarks.notes.push(showExample(first, tokenizer));
  return examples;
}

/** Where tokens of these data are kept, if anywhere. */
function tokenCache({ data }: DataSettings, { notes }: Remarks, heldOutOnly: boolean): TokenCache | undefined {
  // What is held out of the training files is a small part of their texts, and not worth looking
  // for all of them.
  const folder = heldOutOnly && !data.evaluation ? undefined : userCacheFolder();
  return folder && new TokenCache(folder, (message) => notes.push(message));
}

/** What the tokenizer will be asked for, column by column. */
function columnsOf(pairs: readonly PreferencePair[], answers: readonly ("chosen" | "rejected")[]): TextRequest[][] {
  return [
    pairs.map(({ prompt }) => ({ text: prompt, continues: false })),
    ...answers.map((answer) => pairs.map((pair) => ({ text: pair[answer], continues: isContinuation(pair.prompt) }))),
  ];
}

/** @param expect told of all pairs of some files at once, before any is tokenized */
async function readSplitPairs(
  { data, seed }: DataSettings,
  remarks: Remarks,
  heldOutOnly: boolean,
  expect: (pairs: readonly PreferencePair[]) => Promise<void>,
) {
  const read = async (files: string | readonly string[], limit?: number): Promise<PreferencePair[]> => {
    const { columns, onBadPair, repeatedPrompt } = data;
    const found = await readPairs(files, { columns, onBadPair, repeatedPrompt, limit });
    remarkPairs(found, data, remarks);
    const { pairs } = found;
    await expect(pairs);
    return pairs;
  };
  if (data.evaluation && heldOutOnly) return { train: [], heldOut: await read(data.evaluation) };
  const pairs = await read(data.train, data.limit);
  if (!data.evaluation) return splitByPrompt(pairs, { heldOut: data.heldOut, seed });
  const heldOut = await read(data.evaluation);
  const shared = countSharedPrompts(pairs, heldOut);
  if (shared > 0)
    remarks.warnings.push(
      `${shared} of ${heldOut.length} evaluation pairs have a prompt that the training pairs have too`,
    );
  return { train: pairs, heldOut };
}

async function readSplitTexts(
  { data, seed }: DataSettings,
  remarks: Remarks,
  heldOutOnly: boolean,
  expect: (texts: readonly PlainText[]) => Promise<void>,
): Promise<{ train: PlainText[]; heldOut: PlainText[] }> {
  const read = async (files: string | readonly string[], limit?: number) => {
    const found = await readTexts(files, { column: data.columns.text, onBadPair: data.onBadPair, limit });
    const { texts } = found;
    remarkRecords({ records: texts.length, what: "text", ...found }, remarks);
    await expect(texts);
    return texts;
  };
  if (data.evaluation && heldOutOnly) return { train: [], heldOut: await read(data.evaluation) };
  const texts = await read(data.train, data.limit);
  if (data.evaluation) return { train: texts, heldOut: await read(data.evaluation) };
  const isShare = data.heldOut > 0 && data.heldOut < 1;
  const count = isShare ? Math.max(1, Math.round(data.heldOut * texts.length)) : data.heldOut;
  if (count >= texts.length)
    throw new UserError(`holding out ${count} of ${texts.length} texts leaves none to train on`, {
      field: "data.heldOut",
    });
  const chosen = new Set(epochOrder(texts.length, seed, 0).subarray(0, count));
  return {
    train: texts.filter((_, index) => !chosen.has(index)),
    heldOut: texts.filter((_, index) => chosen.has(index)),
  };
}

async function tokenized<Item>(
  { evaluation }: DataSettings,
  train: readonly Item[],
  heldOut: readonly Item[],
  tokenize: (items: readonly Item[]) => Promise<TokenizedData>,
  names: readonly [train: string, heldOut: string],
  { notes, warnings }: Remarks,
): Promise<RunExamples> {
  const [trained, evaluated] = [await tokenize(train), await tokenize(heldOut)];
  const written = WrittenTokens.inWords([trained.written, evaluated.written]);
  if (written !== undefined) warnings.push(written);
  for (const [index, { report }] of [trained, evaluated].entries()) {
    const side = names[index]!;
    if (report.examples === 0) continue;
    const longest = `longest prompt ${report.longestPrompt}, longest response ${report.longestResponse} tokens`;
    notes.push(`${counted(report.examples, `${side} example`)}; ${longest}`);
    if (report.tokensCut > 0) {
      notes.push(
        `cut to fit (${side}): ${report.promptsCut} prompts, ${report.responsesCut} responses, ${report.tokensCut} tokens in all`,
      );
    }
    if (report.identicalAfterTokenizing > 0) {
      const which = counted(report.identicalAfterTokenizing, `${side} pair has`, `${side} pairs have`);
      const what = index === 0 ? "they teach nothing and are left out" : "they count as ties";
      warnings.push(`${which} two answers of the same tokens: ${what}`);
    }
  }
  const heldOutCount = evaluated.examples.length;
  if (heldOutCount > evaluation.examples)
    notes.push(`evaluation takes the first ${evaluation.examples} of the ${heldOutCount} ${names[1]} examples`);
  return { train: trained.examples, heldOut: evaluated.examples, notes, warnings };
}
