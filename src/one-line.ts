/**
 * Text as one line that cannot act on a terminal: control characters, line separators and marks
 * that turn the direction of text become escapes, such as `\n` and `\u001b`. Everything else stays.
 */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it replaces control characters
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, escaped);
}

/**
 * The text up to `limit` characters, with an ellipsis where more follows. No surrogate pair is cut
 * in two.
 */
export function shortened(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = /[\ud800-\udbff]/.test(text[limit - 1]!) ? limit - 1 : limit;
  return `${text.slice(0, end)}…`;
}

/**
 * Any value as JSON for a message: one line, at most about `limit` characters, nested values only
 * to a small depth. Takes what `JSON.stringify` does not: values that hold themselves, values
 * nested thousands deep.
 */
export function quoted(value: unknown, limit = 80): string {
  return oneLine(shortened(pieceOf(value, limit, maximumDepth), limit));
}

const maximumDepth = 4;

function pieceOf(value: unknown, room: number, depth: number): string {
  if (typeof value === "string") return JSON.stringify(shortened(value, room));
  if (typeof value !== "object" || value === null) return String(value);
  const isList = Array.isArray(value);
  const [open, close] = isList ? "[]" : "{}";
  const keys = isList ? value.keys() : Object.keys(value);
  if (depth === 0) return `${open}…${close}`;
  let text = open!;
  for (const key of keys) {
    if (text.length > 1) text += ",";
    if (text.length >= room) return text;
    if (!isList) text += `${JSON.stringify(shortened(String(key), room))}:`;
    text += pieceOf((value as Record<PropertyKey, unknown>)[key], room - text.length, depth - 1);
  }
  return text + close;
}

const shortEscapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(control: string): string {
  return shortEscapes[control] ?? `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
