/**
 * Memory for values, reused by explicit release instead of garbage collection, so that a training step allocates nothing once it has run
 * before. Blocks are rounded up to eighths of a power of two, so that batches of slightly different lengths share them.
 */
export class Workspace {
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #held = new WeakSet<ArrayBuffer>();
  #heldBytes = 0;

  /** Bytes taken and not given back. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** A block of at least `bytes` bytes with undefined content. */
  take(bytes: number): ArrayBuffer {
    const size = blockSize(bytes);
    this.#heldBytes += size;
    const block = this.#free.get(size)?.pop() ?? new ArrayBuffer(size);
    this.#held.add(block);
    return block;
  }

  /**
   * Gives a block back.
   *
   * @throws Error when it is not held: given twice, it would be two values' memory.
   */
  give(block: ArrayBuffer): void {
    if (!this.#held.delete(block)) throw new Error("memory was released twice, or did not come from this engine");
    this.#heldBytes -= block.byteLength;
    const blocks = this.#free.get(block.byteLength);
    if (blocks) blocks.push(block);
    else this.#free.set(block.byteLength, [block]);
  }

  /** Forgets the free blocks, so that the garbage collector can return them to the system. */
  clear(): void {
    this.#free.clear();
  }
}

function blockSize(bytes: number): number {
  const least = 256;
  if (bytes <= least) return least;
  const step = 2 ** Math.max(Math.floor(Math.log2(bytes)) - 3, 6);
  return Math.ceil(bytes / step) * step;
}
