/**
 * The layout of JSON records in a text: one on each line, as elements of an array, or as objects
 * over several lines.
 */
export type Layout = "lines" | "array" | "objects";

/**
 * Tells the layout by the beginning of a text; undefined if it does not begin as JSON does.
 *
 * An object goes over several lines if its first line leaves it open and the next one goes on
 * inside it. In JSON Lines a broken first line is followed by another object.
 */
export function layoutOf(head: Buffer): Layout | undefined {
  const text = head.toString("latin1").trimStart();
  if (text.startsWith("[")) return "array";
  if (!text.startsWith("{")) return undefined;
  const end = text.indexOf("\n");
  if (end < 0) return "lines";
  const [first, rest] = [text.slice(0, end).trimEnd(), text.slice(end).trimStart()];
  return !first.endsWith("}") && /^["}]/.test(rest) ? "objects" : "lines";
}
