import { distance } from "fastest-levenshtein";
import { allOf } from "../words.ts";
import { keys } from "./keys.ts";

/**
 * Advice about an unknown key: use it in another place, or a key like it in the same place, or else
 * anywhere.
 */
export function suggestKey(key: string, path: readonly PropertyKey[]): string | undefined {
  const prefix = path.map((step) => `${String(step)}.`).join("");
  const same = keys.filter((known) => known.key === key);
  const owners = same
    .filter(({ place }) => place === prefix + key)
    .flatMap(({ variant }) => (variant ? [`\`${variant.key}: ${variant.value}\``] : []));
  if (owners.length > 0) return `it belongs to ${allOf([...new Set(owners)])}`;
  const neighbours = keys.filter((known) => known.place === prefix + known.key);
  const similar =
    same[0]?.place ??
    similarOf(
      key,
      neighbours.map((known) => known.key),
    );
  if (similar) return `did you mean \`${similar}\`?`;
  const anywhere = similarOf(
    key,
    keys.map((known) => known.key),
  );
  return anywhere && `did you mean \`${keys.find((known) => known.key === anywhere)!.place}\`?`;
}

/** The one of `known` that a misspelt word is close to. */
export function similarOf(word: string, known: readonly string[]): string | undefined {
  const distances = known.map((name) => distance(plain(word), plain(name)));
  const least = Math.min(...distances);
  const similar = known[distances.indexOf(least)];
  return similar && least <= Math.max(2, 0.4 * word.length) && least < similar.length - 1 ? similar : undefined;
}

/** `learning_rate` is `learningRate` misspelt. */
function plain(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, "");
}
