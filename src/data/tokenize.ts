import { UserError } from "../errors.ts";
import type { RenderedChat } from "./chat/chat.ts";
import type { TokenizedExample } from "./example.ts";
import type { RecordPlace } from "./files/read.ts";
import type { PreferencePair } from "./forms/pairs.ts";
import type { PlainText } from "./forms/text.ts";
import { WindowPacker } from "./pack.ts";
import { checkShortContext } from "./short-context.ts";
import {
  encodePrompts,
  encodeRenderedPrompts,
  encodeRenderedResponses,
  encodeResponses,
  encodeTexts,
} from "./tokens/boundaries.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";
import { type LengthOptions, resolveLimits, truncate } from "./truncate.ts";
import { count, emptyReport, type TruncationReport } from "./truncation-report.ts";
import { type SpecialTokensSetting, WrittenTokens } from "./written-tokens.ts";

export type { TokenizedExample } from "./example.ts";

export interface TokenizeOptions extends LengthOptions {
  /**
   * Size of the model's vocabulary: a token beyond it is an error, instead of a wrong row of the
   * embedding.
   */
  readonly modelVocabularySize?: number | undefined;
  /**
   * The meaning of a special token that a text spells out. For `text` the tokenizer itself must
   * read them so. Default: token.
   */
  readonly specialTokens?: SpecialTokensSetting | undefined;
}

export interface TokenizedData {
  readonly examples: TokenizedExample[];
  readonly report: TruncationReport;
  readonly written: WrittenTokens;
}

/**
 * Pairs for preference training: responses are `[chosen, rejected]`.
 *
 * @throws UserError for impossible limits, a tokenizer without the tokens that `boundaries.ts`
 * needs, or one of another model.
 */
export async function tokenizePairs(
  pairs: readonly PreferencePair[],
  tokenizer: Tokenizer,
  options: TokenizeOptions = {},
): Promise<TokenizedData> {
  return tokenizeAnswers(pairs, tokenizer, options, ({ prompt, chosen, rejected, chat, place }) => {
    return { prompt, answers: [chosen, rejected], chat, place };
  });
}

/**
 * The chosen answers of pairs, for supervised fine-tuning. Otherwise like `tokenizePairs`, but only
 * `chosen` counts for cutting.
 */
export async function tokenizeChosen(
  pairs: readonly PreferencePair[],
  tokenizer: Tokenizer,
  options: TokenizeOptions = {},
): Promise<TokenizedData> {
  return tokenizeAnswers(pairs, tokenizer, options, ({ prompt, chosen, chat, place }) => {
    return { prompt, answers: [chosen], chat, place };
  });
}

/**
 * Texts to learn whole. The prompt is the one token that stands for an empty prompt, the response
 * is the text and EOS.
 *
 * @param options.pack Instead of cutting long texts and leaving short ones short, join all texts
 * and divide them into windows of `maxLength` tokens (see `packWindows`); nothing is cut. Default:
 * false.
 * @throws UserError as `tokenizePairs`.
 */
export async function tokenizeTexts(
  texts: readonly PlainText[],
  tokenizer: Tokenizer,
  options: TokenizeOptions & { readonly pack?: boolean | undefined } = {},
): Promise<TokenizedData> {
  const limits = resolveLimits(options);
  const packing = options.pack ? new WindowPacker(limits.maxLength, tokenizer) : undefined;
  const { examples, report, add } = collector();
  const written = new WrittenTokens(tokenizer, options.specialTokens);
  const addWindows = (windows: Iterable<number[]>) => {
    for (const window of windows) add([window[0]!], [window.slice(1)], undefined);
  };
  for (const part of parts(texts)) {
    const documents = await encodeTexts(
      tokenizer,
      part.map(({ text }) => text),
    );
    for (const [index, ids] of documents.entries()) {
      const { place } = part[index]!;
      checkVocabulary(ids, options.modelVocabularySize, tokenizer, place);
      written.look("text", ids, place);
      if (packing) {
        addWindows(packing.add(ids));
        continue;
      }
      const [start, text] = [ids.slice(0, 1), ids.slice(1)];
      add(start, [text], place, truncate(start, [text], limits, undefined));
    }
  }
  if (packing) addWindows(packing.end());
  return { examples, report, written };
}

/** A prompt with answers to it, as texts. */
export interface Answered {
  readonly prompt: string;
  readonly answers: readonly string[];
  /** Of texts that a chat template wrote. */
  readonly chat?: RenderedChat | undefined;
  /** See `TokenizedExample`. */
  readonly given?: TokenizedExample["given"];
  readonly place: RecordPlace;
}

/**
 * Items of any kind that are a prompt with answers: an example has the answers as its responses, in
 * their order.
 *
 * @throws UserError as `tokenizePairs`.
 */
export async function tokenizeAnswers<Item>(
  items: readonly Item[],
  tokenizer: Tokenizer,
  options: TokenizeOptions,
  answersOf: (item: Item) => Answered,
): Promise<TokenizedData> {
  const limits = resolveLimits(options);
  const bosId = tokenizer.addsBos ? tokenizer.bosId : undefined;
  const { examples, report, add } = collector();
  const written = new WrittenTokens(tokenizer, options.specialTokens);
  for (const part of parts(items)) {
    const texts = part.map(answersOf);
    const encoded = await encodeAnswered(texts, tokenizer);
    for (const [index, { chat, given, place }] of texts.entries()) {
      const { prompt, responses } = encoded[index]!;
      for (const ids of [prompt, ...responses]) checkVocabulary(ids, options.modelVocabularySize, tokenizer, place);
      if (chat) written.found(chat.spelled, place);
      else {
        written.look("prompt", prompt, place);
        for (const ids of responses) written.look("answer", ids, place);
      }
      const kept = truncate(prompt, responses, limits, chat ? tokenizer.bosId : bosId);
      checkShortContext({ ...kept, place }, options);
      add(prompt, responses, place, kept, given);
    }
  }
  return { examples, report, written };
}

/** Token ids of prompts and answers, those that a chat template wrote as it wrote them. */
async function encodeAnswered(
  texts: readonly Answered[],
  tokenizer: Tokenizer,
): Promise<{ prompt: number[]; responses: number[][] }[]> {
  const [plain, chats] = [texts.filter(({ chat }) => !chat), texts.filter(({ chat }) => chat)];
  const promptsOf = (part: readonly Answered[]) => part.map(({ prompt }) => prompt);
  const plainAnswers = plain.flatMap(({ prompt, answers }) => answers.map((response) => ({ prompt, response })));
  const chatAnswers = chats.flatMap(({ chat, answers }) =>
    answers.map((response) => ({ response, endOfTurn: chat!.endOfTurn })),
  );
  const prompts = [
    (await encodePrompts(tokenizer, promptsOf(plain))).values(),
    (await encodeRenderedPrompts(tokenizer, promptsOf(chats))).values(),
  ];
  const responses = [
    (await encodeResponses(tokenizer, plainAnswers)).values(),
    (await encodeRenderedResponses(tokenizer, chatAnswers)).values(),
  ];
  return texts.map(({ chat, answers }) => {
    const kind = chat ? 1 : 0;
    const next = (from: ArrayIterator<number[]>) => from.next().value!;
    return { prompt: next(prompts[kind]!), responses: answers.map(() => next(responses[kind]!)) };
  });
}

/**
 * Records are tokenized so many at once: enough for all cores, and little memory for what is not
 * yet cut.
 */
const recordsAtOnce = 2000;

function* parts<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += recordsAtOnce) yield items.slice(start, start + recordsAtOnce);
}

type Ids = ArrayLike<number>;

/** Gathers examples and counts what was cut from the whole to the kept tokens. */
function collector() {
  const examples: TokenizedExample[] = [];
  const report = emptyReport();
  const add = (
    prompt: Ids,
    responses: readonly Ids[],
    place: RecordPlace | undefined,
    kept = { prompt, responses },
    given?: TokenizedExample["given"],
  ): void => {
    const example = {
      prompt: new Int32Array(kept.prompt),
      responses: kept.responses.map((ids) => new Int32Array(ids)),
      ...(given && { given }),
      cut: {
        prompt: prompt.length - kept.prompt.length,
        responses: responses.map((ids, index) => ids.length - kept.responses[index]!.length),
      },
      place,
    };
    examples.push(example);
    count(report, example);
  };
  return { examples, report, add };
}

function checkVocabulary(
  ids: readonly number[],
  size: number | undefined,
  tokenizer: Tokenizer,
  place: RecordPlace,
): void {
  if (size === undefined || tokenizer.vocabularySize <= size) return;
  const alien = ids.find((id) => id >= size);
  if (alien === undefined) return;
  throw new UserError(
    `gives token ${alien}, but the model has ${size} tokens: this tokenizer does not belong to the model`,
    {
      file: tokenizer.file,
      hint: `the text is at ${place.file}:${place.line}`,
    },
  );
}
