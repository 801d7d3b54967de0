import { toBfloat16, toFloat32 } from "../number-formats.ts";

/** How much of what an adapter changes is lost where merged weights are stored in bfloat16, which has three digits. */
export class RoundingLoss {
  #changed = 0;
  #lost = 0;

  /** Counts a weight before and after the adapter was merged into it. */
  add(base: Float32Array, merged: Float32Array): void {
    const bits = new Uint16Array(merged.length);
    toBfloat16(merged, bits);
    const stored = new Float32Array(merged.length);
    toFloat32("BF16", bits, stored);
    for (let index = 0; index < merged.length; index++) {
      this.#changed += (merged[index]! - base[index]!) ** 2;
      this.#lost += (stored[index]! - merged[index]!) ** 2;
    }
  }

  /** The length of the rounding errors relative to that of the change; 0 where nothing changed. */
  get share(): number {
    return this.#changed === 0 ? 0 : Math.sqrt(this.#lost / this.#changed);
  }
}
