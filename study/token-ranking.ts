import type { PlantedPair } from "./plant.ts";
import { areaUnderCurve, tokenMask } from "./ranking.ts";

/**
 * Gathers the tokens of answers with their scores, and the words that they make: a word's score is
 * the sum of its tokens'.
 */
export class TokenRanking {
  readonly #scores: number[] = [];
  readonly #deciding: boolean[] = [];
  readonly #differing: boolean[] = [];
  readonly #words = { scores: [] as number[], deciding: [] as boolean[] };

  add(pair: PlantedPair, side: "chosen" | "rejected", pieces: readonly string[], scores: readonly number[]): void {
    if (pieces.join("") !== pair[side]) throw new Error(`the tokens are not those of "${pair[side]}"`);
    const deciding = tokenMask(pieces, pair[`${side}_deciding`]);
    this.#scores.push(...scores);
    this.#deciding.push(...deciding);
    this.#differing.push(...tokenMask(pieces, pair[`${side}_differing`]));
    const { scores: sums, deciding: any } = this.#words;
    pieces.forEach((piece, index) => {
      const begins = index === 0 || piece.startsWith(" ");
      if (begins) sums.push(0);
      if (begins) any.push(false);
      sums[sums.length - 1]! += scores[index]!;
      any[any.length - 1] ||= deciding[index]!;
    });
  }

  get figures() {
    const differing = <Item>(items: readonly Item[]) => items.filter((_, index) => this.#differing[index]);
    return {
      "AUC, differing tokens": areaUnderCurve(differing(this.#scores), differing(this.#deciding)),
      "AUC, all tokens": areaUnderCurve(this.#scores, this.#deciding),
      "AUC, all words": areaUnderCurve(this.#words.scores, this.#words.deciding),
    };
  }
}
