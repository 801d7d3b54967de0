/** A word of a text as it stands there, with its place in UTF-16 units. */
export interface Word {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const wordPattern = /[\p{L}\p{N}]+(?:['’]\p{L}+)*/gu;
const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });
const [fewestWords, mostWords] = [6, 30];

/** Words are letters and digits, with apostrophes inside; all else is between them. */
export function wordsOf(text: string): Word[] {
  return [...text.matchAll(wordPattern)].map(({ 0: word, index }) => ({
    text: word,
    start: index,
    end: index + word.length,
  }));
}

/**
 * The sentences of a review that a pair can be made of: whole ones of 6 to 30 words in plain
 * letters. Quotations, brackets, figures and trailing dots are left out, because they often belong
 * to half a sentence.
 */
export function plainSentences(review: string): string[] {
  const plain = review
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
  return [...segmenter.segment(plain)]
    .map(({ segment }) => segment.trim())
    .filter((sentence) => /^[A-Z][A-Za-z ,;:'’-]*[.!?]$/.test(sentence))
    .filter((sentence) => !/[,;:][^ ]|\b(?:vs|Mr|Mrs|Ms|Dr|St|Jr|etc)\.$/.test(sentence))
    .filter((sentence) => {
      const { length } = wordsOf(sentence);
      return length >= fewestWords && length <= mostWords;
    });
}
