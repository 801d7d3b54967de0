/**
 * Memory for values, reused by explicit release instead of garbage collection, so that a training
 * step allocates nothing once it has run before. Blocks are rounded up to eighths of a power of
 * two, so that batches of slightly different lengths share them.
 */
export class Workspace {
  readonly #free = new Map<number, ArrayBuffer[]>();
  /** Blocks that are taken, with the bytes that were asked for, rounded up. */
  readonly #held = new WeakMap<ArrayBuffer, number>();
  #heldBytes = 0;

  /** Bytes taken and not given back. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * A block of at least `bytes` bytes with undefined content, or `zeroed`. A new block is zero
   * already, and costs nothing until it is touched.
   */
  take(bytes: number, { zeroed = false } = {}): ArrayBuffer {
    const size = blockSize(bytes);
    const used = this.#smallestFree(size);
    if (used && zeroed) new Uint8Array(used, 0, bytes).fill(0);
    const block = used ?? this.#grown(size);
    this.#heldBytes += size;
    this.#held.set(block, size);
    return block;
  }

  /**
   * The smallest free block from `size` to twice as much: otherwise batches of ever different
   * lengths would pile up blocks of every size.
   */
  #smallestFree(size: number): ArrayBuffer | undefined {
    for (let candidate = size; candidate <= 2 * size; candidate = blockSize(candidate + 1)) {
      const block = this.#free.get(candidate)?.pop();
      if (block) return block;
    }
    return undefined;
  }

  /**
   * A new block, in place of one that just cannot hold so much: the new one will serve for it.
   * Otherwise ever larger batches would leave a row of blocks behind that nothing fits any more.
   */
  #grown(size: number): ArrayBuffer {
    let outgrown: ArrayBuffer[] | undefined;
    for (let candidate = blockSize(size / 2); candidate < size; candidate = blockSize(candidate + 1)) {
      const blocks = this.#free.get(candidate);
      if (blocks?.length) outgrown = blocks;
    }
    outgrown?.pop();
    return new ArrayBuffer(size);
  }

  /**
   * Gives a block back.
   *
   * @throws Error when it is not held: given twice, it would be two values' memory.
   */
  give(block: ArrayBuffer): void {
    const size = this.#held.get(block);
    if (size === undefined) throw new Error("memory was released twice, or did not come from this engine");
    this.#held.delete(block);
    this.#heldBytes -= size;
    const blocks = this.#free.get(block.byteLength);
    if (blocks) blocks.push(block);
    else this.#free.set(block.byteLength, [block]);
  }

  /** Forgets the free blocks, so that the garbage collector can return them to the system. */
  clear(): void {
    this.#free.clear();
  }
}

/** The bytes of the block that holds so many. */
export function blockSize(bytes: number): number {
  const least = 256;
  if (bytes <= least) return least;
  const step = 2 ** Math.max(Math.floor(Math.log2(bytes)) - 3, 6);
  return Math.ceil(bytes / step) * step;
}
