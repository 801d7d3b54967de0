import { counted, grouped } from "../words.ts";
import { type Chat, chatOf } from "./chat/chat.ts";
import type { TokenizedExample } from "./example.ts";
import type { Form, ReadSettings } from "./forms/form.ts";
import { type ColumnName, type FormName, formNamed } from "./forms/index.ts";
import type { Remarks } from "./remarks.ts";
import { showExample } from "./shown-example.ts";
import { countSharedPrompts } from "./split.ts";
import type { TokenizedData } from "./tokenize.ts";
import { userCacheFolder } from "./tokens/cache-folder.ts";
import { RememberedTokens } from "./tokens/remembered-tokens.ts";
import { TokenCache } from "./tokens/token-cache.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";
import { type SpecialTokensSetting, WrittenTokens } from "./written-tokens.ts";

/** The examples of a run, and what became of the data on the way, in sentences for the user. */
export interface RunExamples {
  readonly train: readonly TokenizedExample[];
  readonly heldOut: readonly TokenizedExample[];
  /** True if a chat template wrote some of them. */
  readonly hasConversations: boolean;
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
    readonly format: FormName;
    readonly columns: NonNullable<ReadSettings<ColumnName>["columns"]>;
    readonly onBadPair: "error" | "skip";
    readonly repeatedPrompt: "keep" | "strip";
    readonly template?: string | undefined;
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
  const form = formNamed(recipe.data.format);
  const { pack, maxLength, maxPromptLength, truncation, template, specialTokens } = recipe.data;
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
  const reader = { form, chat: chatOf(tokenizer, { template, specialTokens }), tokenizer };
  const { train, heldOut, hasConversations } = await readSplit(reader, recipe, remarks, heldOutOnly, (items) =>
    tokens.expect(form.requests(items, responses)),
  );
  const tokenize = (items: readonly unknown[]) =>
    form.tokenize(items, remembering, { ...options, responses, ...(form.packs && { pack }) });
  const sides = await tokenized(recipe, heldOutOnly ? [] : train, heldOut, tokenize, names, remarks);
  const examples = { ...sides, hasConversations };
  await tokens.keep();
  const first = examples.train[0] ?? examples.heldOut[0];
  if (first) remarks.notes.push(showExample(first, tokenizer));
  return examples;
}

/** The cache for the tokens of these data; undefined for none. */
function tokenCache({ data }: DataSettings, { notes }: Remarks, heldOutOnly: boolean): TokenCache | undefined {
  // What is held out of the training files is a small part of their texts, and not worth looking
  // for all of them.
  const folder = heldOutOnly && !data.evaluation ? undefined : userCacheFolder();
  return folder && new TokenCache(folder, (message) => notes.push(message));
}

/** @param expect told of all items of some files at once, before any is tokenized */
async function readSplit(
  { form, chat, tokenizer }: { form: Form; chat: () => Chat; tokenizer: Tokenizer },
  { data, seed }: DataSettings,
  remarks: Remarks,
  heldOutOnly: boolean,
  expect: (items: readonly unknown[]) => Promise<void>,
): Promise<{ train: readonly unknown[]; heldOut: readonly unknown[]; hasConversations: boolean }> {
  let hasConversations = false;
  const read = async (files: string | readonly string[], limit?: number) => {
    const { columns, onBadPair, repeatedPrompt } = data;
    const textsAsTurns = data.template !== undefined;
    const settings = { columns, onBadPair, repeatedPrompt, limit, chat, textsAsTurns };
    const { items, conversations, remark } = await form.read(files, settings);
    hasConversations ||= conversations > 0;
    const texts = items.length - conversations;
    remarks.notes.push(`data: ${whatIsRead(form, texts, conversations)}`);
    if (form.hasPrompts && texts > 0 && (tokenizer.chat?.sources.size ?? 0) > 0) remarks.warnings.push(templateUnused);
    remark(remarks);
    await expect(items);
    return items;
  };
  if (data.evaluation && heldOutOnly) {
    const heldOut = await read(data.evaluation);
    return { train: [], heldOut, hasConversations };
  }
  const train = await read(data.train, data.limit);
  if (!data.evaluation) return { ...form.split(train, { heldOut: data.heldOut, seed }), hasConversations };
  const heldOut = await read(data.evaluation);
  const shared = form.promptKey ? countSharedPrompts(train, heldOut, form.promptKey) : 0;
  if (shared > 0)
    remarks.warnings.push(
      `${shared} of ${heldOut.length} evaluation ${form.items} have a prompt that the training ${form.items} have too`,
    );
  return { train, heldOut, hasConversations };
}

/** `300 pairs of texts, 20 of conversations`. */
function whatIsRead({ item, hasPrompts }: Form, texts: number, conversations: number): string {
  const total = counted(texts + conversations, item);
  if (!hasPrompts) return total;
  if (conversations === 0) return `${total} of texts`;
  return `${total} of ${texts === 0 ? "" : `texts (${grouped(texts)}) and of `}conversations`;
}

const templateUnused =
  "the model has a chat template, which is not applied: prompt and answer are texts, and are joined as they are; " +
  "`data.template: default` makes a turn of each";

async function tokenized<Item>(
  { evaluation }: DataSettings,
  train: readonly Item[],
  heldOut: readonly Item[],
  tokenize: (items: readonly Item[]) => Promise<TokenizedData>,
  names: readonly [train: string, heldOut: string],
  { notes, warnings }: Remarks,
): Promise<Omit<RunExamples, "hasConversations">> {
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
