import { Random } from "../random.ts";

/**
 * The place of a run in its data: the next example to take is number `index` of `epoch`'s order.
 * Both count from 0.
 */
export interface DataPosition {
  readonly epoch: number;
  readonly index: number;
}

/**
 * The order in which epoch `epoch` visits `count` examples: a permutation of 0 … count−1 that
 * depends on the three arguments only.
 */
export function epochOrder(count: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  return Random.from(seed, "order", epoch).shuffle(order);
}

/**
 * Endless stream of examples from `start` on, epoch after epoch. Each comes with the position that
 * follows it, which is all a checkpoint needs to carry on with the next example.
 */
export function* examplesFrom(
  count: number,
  seed: number,
  start: DataPosition = { epoch: 0, index: 0 },
): Generator<{ example: number; next: DataPosition }, never> {
  if (!(count > 0)) throw new RangeError(`examplesFrom: needs at least one example, got ${count}`);
  for (let { epoch, index } = start; ; epoch++, index = 0) {
    const order = epochOrder(count, seed, epoch);
    for (; index < count; index++) {
      const next = index + 1 < count ? { epoch, index: index + 1 } : { epoch: epoch + 1, index: 0 };
      yield { example: order[index]!, next };
    }
  }
}
