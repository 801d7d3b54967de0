import { toBfloat16, toFloat32 } from "../number-formats.ts";

/** A share of a change that a user would want to know of. */
const notableShare = 0.05;

/**
 * Numbers that are rounded at once, so that a large matrix takes no more memory than a small one.
 */
const pieceLength = 1 << 20;

/**
 * The part of a change to weights that is lost when they are stored in bfloat16, which has three
 * digits.
 */
export class RoundingLoss {
  #changed = 0;
  #lost = 0;

  /** Counts a weight before and after the change. */
  add(before: Float32Array, after: Float32Array): void {
    const bits = new Uint16Array(Math.min(pieceLength, after.length));
    const stored = new Float32Array(bits.length);
    for (let start = 0; start < after.length; start += pieceLength) {
      const piece = after.subarray(start, start + pieceLength);
      toBfloat16(piece, bits.subarray(0, piece.length));
      toFloat32("BF16", bits.subarray(0, piece.length), stored.subarray(0, piece.length));
      for (let index = 0; index < piece.length; index++) {
        this.#changed += (piece[index]! - before[start + index]!) ** 2;
        this.#lost += (stored[index]! - piece[index]!) ** 2;
      }
    }
  }

  /** The length of the rounding errors relative to that of the change; 0 where nothing changed. */
  get share(): number {
    return this.#changed === 0 ? 0 : Math.sqrt(this.#lost / this.#changed);
  }

  /**
   * A warning where a notable part is lost, or undefined.
   *
   * @param what made the change, such as "what the adapter does"
   * @param advice how to lose nothing
   */
  warning(what: string, advice: string): string | undefined {
    if (this.share <= notableShare) return undefined;
    return `rounding to bfloat16 moves the weights by ${Math.round(100 * this.share)} % of ${what}; ${advice}`;
  }
}
