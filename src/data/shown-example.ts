import { oneLine, shortened } from "../one-line.ts";
import type { TokenizedExample } from "./example.ts";
import { inWords } from "./tally.ts";
import type { Tokenizer } from "./tokens/tokenizer.ts";

/** Tokens that are shown around a boundary, and at the end of an answer. */
const shown = { around: 12, end: 3 };
const longestToken = 24;

/**
 * An example as the model sees it: each token in brackets, special ones too, and a line for each
 * part, so that it shows where the prompt ends and the answers begin.
 */
export function showExample(
  { prompt, responses, place }: TokenizedExample,
  { decode }: Pick<Tokenizer, "decode">,
): string {
  const names = responses.length === 2 ? ["chosen", "rejected"] : ["text"];
  const lines = responses.map((response, index) => {
    const tokens = pieces(response, decode, prompt);
    const hidden = tokens.length - shown.around - shown.end;
    const whole = hidden <= 0;
    const text = whole
      ? tokens.join("")
      : `${tokens.slice(0, shown.around).join("")} … ${hidden} more … ${tokens.slice(-shown.end).join("")}`;
    return `  ${names[index]!.padEnd(8)} ${text}`;
  });
  const start = pieces(prompt, decode);
  const hidden = start.length - shown.around - 1;
  const text = hidden <= 0 ? start.join("") : `${start[0]} … ${hidden} more … ${start.slice(-shown.around).join("")}`;
  const from = place ? ` (${inWords(place)})` : "";
  return [`the first example as tokens${from}:`, `  prompt   ${text}`, ...lines].join("\n");
}

/** Each token's own text in brackets, as it reads behind the tokens before it. */
function pieces(ids: Int32Array, decode: Tokenizer["decode"], before: Int32Array = new Int32Array()): string[] {
  const line = [...before.slice(-1), ...ids];
  const first = line.length - ids.length;
  return Array.from(ids, (id, index) => {
    const at = first + index;
    // One token alone may lose its space, or be a part of a character.
    const alone = decode([id]);
    const behind = at === 0 ? alone : difference(decode([line[at - 1]!]), decode([line[at - 1]!, id]));
    return `[${oneLine(shortened(behind || alone, longestToken))}]`;
  });
}

/** The rest of a text after its beginning. */
function difference(beginning: string, whole: string): string {
  let same = 0;
  while (same < beginning.length && beginning[same] === whole[same]) same++;
  return whole.slice(same);
}
