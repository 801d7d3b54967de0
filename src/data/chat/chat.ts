import { createHash } from "node:crypto";
import { UserError } from "../../errors.ts";
import { quoted } from "../../one-line.ts";
import { BadRecord } from "../files/convert.ts";
import {
  ChatTemplate,
  type Conversation,
  chatml,
  type Message,
  TemplateRefusal,
  type TemplateSource,
} from "../tokens/chat-template.ts";
import { endOfTurn } from "../tokens/end-of-turn.ts";
import { plainName } from "../tokens/plain-special-tokens.ts";
import type { Tokenizer } from "../tokens/tokenizer.ts";
import type { SpecialTokensSetting } from "../written-tokens.ts";
import { textsIn } from "./messages.ts";

export interface ChatSettings {
  /** The name of one of the model's templates, or `chatml`; by default the model's own. */
  readonly template?: string | undefined;
  /** What special tokens are that a message spells out. Default: token. */
  readonly specialTokens?: SpecialTokensSetting | undefined;
}

/** What is to know of texts that a chat template wrote; the texts hold every special token. */
export interface RenderedChat {
  /** The token that ends the assistant's turn; undefined if the template ends it with none. */
  readonly endOfTurn: number | undefined;
  /** The same for all conversations with these turns, whatever the template makes of them. */
  readonly promptKey: string;
  /** Special tokens that messages spell out. */
  readonly spelled: { readonly prompt?: string | undefined; readonly answer?: string | undefined };
}

/** A prompt and answers to it, written by a chat template. */
export interface RenderedTurns {
  readonly prompt: string;
  readonly answers: readonly string[];
  readonly chat: RenderedChat;
}

/** Makes a `Chat` when it is first needed: data without conversations need no template. */
export function chatOf(tokenizer: Tokenizer, settings: ChatSettings): () => Chat {
  let chat: Chat | undefined;
  return () => {
    chat ??= new Chat(tokenizer, settings);
    return chat;
  };
}

/** In a text as messages have it: what a special token is spelled with, but no token. */
const guard = "\u{10FFFE}";

/** Conversations as the texts that a model reads and writes, by a chat template. */
export class Chat {
  readonly #template: ChatTemplate;
  readonly #endOfTurn: number | undefined;
  /** Finds special tokens; undefined where the tokenizer has none. */
  readonly #special: RegExp | undefined;
  readonly #asText: boolean;

  /** @throws UserError where the model has no such template */
  constructor(tokenizer: Tokenizer, { template, specialTokens }: ChatSettings = {}) {
    this.#template = chatTemplate(tokenizer, template);
    this.#endOfTurn = endOfTurn(this.#template, tokenizer.specialTokens);
    this.#special = specialPattern(tokenizer);
    this.#asText = specialTokens === "text";
  }

  /**
   * Renders a prompt, with the beginning of the assistant's turn, and each answer as what follows.
   *
   * @param columns those that prompt and answers come from
   * @throws BadRecord where the template refuses the conversation, writes its beginning otherwise
   * with an answer, or leaves nothing of an answer.
   */
  render(
    conversation: Conversation,
    answers: readonly (readonly Message[])[],
    columns: { readonly prompt: string; readonly answers: readonly string[] },
  ): RenderedTurns {
    const { messages, tools, variables } = conversation;
    const shared = this.#guarded({ messages, tools });
    const write = (given: readonly Message[], generationPrompt: boolean, column: string) => {
      try {
        return this.#template.render({ messages: given, tools: shared.tools, variables }, generationPrompt);
      } catch (error) {
        if (!(error instanceof TemplateRefusal)) throw error;
        throw new BadRecord(`the chat template refuses it: ${quoted(error.message)}`, column);
      }
    };
    const prompt = write(shared.messages, true, columns.prompt);
    const texts = answers.map((answer, index) => {
      const column = columns.answers[index]!;
      const whole = write([...shared.messages, ...this.#guarded(answer)], false, column);
      if (!whole.startsWith(prompt)) throw new BadRecord(differentBeginning(prompt, whole), column);
      const text = whole.slice(prompt.length);
      const words = this.#special ? text.replaceAll(this.#special, "") : text;
      if (words.trim() === "") throw new BadRecord("is empty once the chat template has written it", column);
      return this.#real(text);
    });
    const promptKey = createHash("sha256")
      .update(JSON.stringify([messages, tools]))
      .digest("base64");
    const spelled = { prompt: this.#spelledIn([messages, tools]), answer: this.#spelledIn(answers) };
    return { prompt: this.#real(prompt), answers: texts, chat: { endOfTurn: this.#endOfTurn, promptKey, spelled } };
  }

  /** Messages in which special tokens that are to be text are none. */
  #guarded<Value>(value: Value): Value {
    const special = this.#special;
    if (!this.#asText || !special) return value;
    const guarded = (part: unknown): unknown => {
      if (typeof part === "string") return part.replaceAll(special, (token) => token[0] + guard + token.slice(1));
      if (Array.isArray(part)) return part.map(guarded);
      if (typeof part !== "object" || part === null) return part;
      return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, guarded(inner)]));
    };
    return guarded(value) as Value;
  }

  /** What the template wrote, with its special tokens as the tokenizer knows them. */
  #real(text: string): string {
    if (!this.#asText || !this.#special) return text;
    return text.replaceAll(this.#special, plainName).replaceAll(guard, "");
  }

  #spelledIn(value: unknown): string | undefined {
    if (!this.#special) return undefined;
    for (const text of textsIn(value)) {
      const found = text.match(this.#special);
      if (found) return found[0];
    }
    return undefined;
  }
}

function chatTemplate({ chat, file, specialTokens, eosId }: Tokenizer, name: string | undefined): ChatTemplate {
  if (chat && chat.sources.size > 0 && (name !== "chatml" || chat.sources.has("chatml")))
    return new ChatTemplate(chat.sources, chat.variables, name);
  if (name === "chatml") {
    const variables = { eos_token: eosId === undefined ? "" : specialTokens.get(eosId), ...chat?.variables };
    return new ChatTemplate(new Map([["default", plainTemplate({ file, specialTokens })]]), variables);
  }
  throw new UserError("the model has no chat template, and the data are conversations", {
    file,
    hint: "`data.template: chatml` takes a plain one",
  });
}

function plainTemplate({ file, specialTokens }: Pick<Tokenizer, "file" | "specialTokens">): TemplateSource {
  const known = new Set(specialTokens.values());
  return chatml(file, (token) => known.has(token));
}

/**
 * The text of the plain template that data are written by for want of one of the model's; undefined
 * where the model has one, or none is asked for.
 */
export function templateToKeep(tokenizer: Tokenizer, template: string | undefined): string | undefined {
  const own = tokenizer.chat?.sources.size ?? 0;
  return template === "chatml" && own === 0 ? plainTemplate(tokenizer).text : undefined;
}

/** Longer tokens first: some begin with others. */
function specialPattern({ specialTokens }: Tokenizer): RegExp | undefined {
  const tokens = [...specialTokens.values()].filter((token) => token !== "");
  if (tokens.length === 0) return undefined;
  const escaped = tokens
    .sort((one, other) => other.length - one.length)
    .map((token) => token.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  return new RegExp(escaped.join("|"), "gu");
}

/** Says where the text of a conversation with an answer leaves that of its prompt. */
function differentBeginning(prompt: string, whole: string): string {
  let same = 0;
  while (same < prompt.length && prompt[same] === whole[same]) same++;
  const from = Math.max(0, same - 20);
  const [asked, found] = [prompt, whole].map((text) => quoted(text.slice(from, same + 40)));
  return `the chat template begins the conversation otherwise with the answer, ${found}, than for the prompt, ${asked}`;
}
