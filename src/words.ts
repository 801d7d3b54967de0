/** `5,000`. */
export function grouped(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** `1 pair`, `2 pairs`. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : several}`;
}

/** `dpo, ipo or sft`. */
export function oneOf(words: readonly string[]): string {
  return listed(words, "or");
}

/** `dpo, ipo and sft`. */
export function allOf(words: readonly string[]): string {
  return listed(words, "and");
}

function listed(words: readonly string[], before: string): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} ${before} ${last}`;
}

/** `7.5 %`, and neither 0 nor 100 unless exactly so. */
export function percent(share: number): string {
  const digits = share > 0.99 || share < 0.01 ? 2 : 1;
  const [least, most] = [10 ** -digits, 100 - 10 ** -digits];
  const shown = share === 0 || share === 1 ? share * 100 : Math.min(most, Math.max(least, share * 100));
  return `${Number(shown.toFixed(digits))} %`;
}

/** `5.4 million`, `260,000`. */
export function millions(count: number): string {
  if (count >= 1e9) return `${Number((count / 1e9).toPrecision(3))} billion`;
  return count >= 1e6 ? `${Number((count / 1e6).toPrecision(3))} million` : grouped(count);
}

/** `3.5 GiB`, `630 MiB`. */
export function mebibytes(bytes: number): string {
  const size = bytes / 2 ** 20;
  return size >= 1000 ? `${(size / 1024).toFixed(1)} GiB` : `${Math.max(1, Math.round(size))} MiB`;
}
