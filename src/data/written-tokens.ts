import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { counted } from "../words.ts";
import type { RecordPlace } from "./files/read.ts";
import { inWords } from "./tally.ts";
import { isEmptyPrompt } from "./tokens/boundaries.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";

/**
 * The treatment of a special token that a text spells out: as the token (as in transformers), as
 * plain text, or as an error.
 */
export type SpecialTokensSetting = "token" | "text" | "error";

type Kind = "prompt" | "answer" | "text";

/**
 * Counts texts that spell out special tokens, such as `<|endoftext|>`; what is put around a text
 * does not count.
 */
export class WrittenTokens {
  readonly #tokenizer: Tokenizer;
  readonly #setting: SpecialTokensSetting;
  readonly #counts = new Map<Kind, number>();
  #first: { readonly token: string; readonly place: RecordPlace } | undefined;

  constructor(tokenizer: Tokenizer, setting: SpecialTokensSetting = "token") {
    this.#tokenizer = tokenizer;
    this.#setting = setting;
  }

  /**
   * @param ids with what `boundaries.ts` puts around them
   * @throws UserError if special tokens are to be errors.
   */
  look(kind: Kind, ids: readonly number[], place: RecordPlace): void {
    const { specialTokens, addsBos, bosId } = this.#tokenizer;
    const begun = addsBos ? ids[0] === bosId : isEmptyPrompt(this.#tokenizer, ids);
    const start = kind === "text" || (kind === "prompt" && begun) ? 1 : 0;
    const end = kind === "prompt" ? ids.length : ids.length - 1;
    for (let index = start; index < end; index++) {
      const token = specialTokens.get(ids[index]!);
      if (token === undefined) continue;
      this.#add(kind, token, place);
      return;
    }
  }

  /**
   * Counts what messages of a conversation spell out.
   *
   * @throws UserError if special tokens are to be errors.
   */
  found(
    spelled: { readonly prompt?: string | undefined; readonly answer?: string | undefined },
    place: RecordPlace,
  ): void {
    if (this.#setting === "text") return;
    for (const kind of ["prompt", "answer"] as const) {
      const token = spelled[kind];
      if (token !== undefined) this.#add(kind, token, place);
    }
  }

  #add(kind: Kind, token: string, place: RecordPlace): void {
    if (this.#setting === "error") {
      throw new UserError(`the ${kind} holds the special token ${quoted(token)} written out`, {
        ...place,
        hint: "`data.specialTokens` says what becomes of them: `token` or `text`",
      });
    }
    this.#first ??= { token, place };
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  /** `1 answer and 2 prompts hold special tokens written out, …`; undefined where none does. */
  static inWords(found: readonly WrittenTokens[]): string | undefined {
    const total = (kind: Kind) => found.reduce((sum, each) => sum + (each.#counts.get(kind) ?? 0), 0);
    const totals = (["text", "answer", "prompt"] as const).map((kind) => [kind, total(kind)] as const);
    const parts = totals.filter(([, count]) => count > 0).map(([kind, count]) => counted(count, kind));
    const first = found.map((each) => each.#first).find((each) => each !== undefined);
    if (!first) return undefined;
    const holds = parts.length === 1 && /^1 /.test(parts[0]!) ? "holds" : "hold";
    const where = `first ${quoted(first.token)} at ${inWords(first.place)}`;
    return (
      `${parts.join(" and ")} ${holds} special tokens written out, ${where}; they are read as tokens: ` +
      "`data.specialTokens: text` reads them as plain text"
    );
  }
}
