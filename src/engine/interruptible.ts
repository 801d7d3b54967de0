import type { Engine, FloatValue } from "./engine.ts";

/** An engine whose work can be given up between two programs. */
export interface InterruptibleEngine extends Engine {
  /**
   * Runs `work`, one at a time. Once `signal` is aborted, the next program that `work` would run is
   * not begun, and all memory that it took and has not given back is given back.
   *
   * @param tidy gives back what would be kept for later, before that
   * @returns undefined if `work` was given up
   */
  untilAborted<Result>(signal: AbortSignal, work: () => Promise<Result>, tidy: () => void): Promise<Result | undefined>;
}

/**
 * Runs work that `signal` ends: between two programs where the engine is interruptible, otherwise
 * where the work itself looks at the signal.
 *
 * @param tidy gives back what would be kept for later, where the work is given up
 * @returns undefined if `work` was given up
 */
export async function untilAborted<Result>(
  engine: Engine | InterruptibleEngine,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
  tidy: () => void,
): Promise<Result | undefined> {
  return signal && "untilAborted" in engine ? engine.untilAborted(signal, work, tidy) : work();
}

/**
 * Makes the work of an engine interruptible: the one place that every program passes, whatever it
 * belongs to.
 */
export function interruptible(engine: Engine): InterruptibleEngine {
  /** The work that may be given up: its signal, and what it holds, by the memory below. */
  let current: { signal: AbortSignal; held: Map<ArrayBufferLike, FloatValue> } | undefined;
  const hold = (value: FloatValue) => {
    current?.held.set(value.data.buffer, value);
    return value;
  };
  return {
    precision: engine.precision,
    get allocatedBytes() {
      return engine.allocatedBytes;
    },
    allocate: (shape) => hold(engine.allocate(shape)),
    zeros: (shape) => hold(engine.zeros(shape)),
    read: (value) => engine.read(value),
    write: (target, numbers) => engine.write(target, numbers),
    load: (target, read) => engine.load(target, read),
    fill: (target, number) => engine.fill(target, number),
    copyRows: (target, source, indices) => engine.copyRows(target, source, indices),
    addRows: (target, source, indices) => engine.addRows(target, source, indices),
    release(value) {
      current?.held.delete(value.data.buffer);
      engine.release(value);
    },
    dispose: () => engine.dispose(),
    compile(program) {
      const executable = engine.compile(program);
      return {
        program,
        dispose: () => executable.dispose(),
        async run(inputs, outputs = {}) {
          current?.signal.throwIfAborted();
          const results = await executable.run(inputs, outputs);
          for (const [name, value] of Object.entries(results)) if (!outputs[name]) hold(value);
          return results;
        },
      };
    },
    async untilAborted(signal, work, tidy) {
      if (current) throw new Error("the engine has work already that can be given up");
      const held = new Map<ArrayBufferLike, FloatValue>();
      current = { signal, held };
      try {
        return await work();
      } catch (error) {
        if (!signal.aborted || error !== signal.reason) throw error;
        tidy();
        for (const value of [...held.values()]) this.release(value);
        return undefined;
      } finally {
        current = undefined;
      }
    },
  };
}
