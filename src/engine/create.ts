import type { Engine } from "./engine.ts";
import { type InterruptibleEngine, interruptible } from "./interruptible.ts";

/**
 * The library that computes: ONNX Runtime in float32, or the interpreter in float64, which is slow
 * and exact.
 */
export type Backend = "onnxruntime" | "float64";

export interface EngineOptions {
  /** Default: `onnxruntime`. */
  readonly backend?: Backend | undefined;
  /** Threads of all programs together. The process keeps the number of its first engine. */
  readonly threads: number;
}

const makers: Readonly<Record<Backend, (options: EngineOptions) => Promise<Engine>>> = {
  onnxruntime: async ({ threads }) => (await import("./native/onnx-runtime.ts")).onnxRuntimeEngine({ threads }),
  float64: async () => (await import("./float64.ts")).float64Engine(),
};

/**
 * Makes an engine whose work can be interrupted. A backend's code is loaded when it is asked for,
 * so that a program needs only the native library of the backend that it uses.
 *
 * @throws Error if the backend has no library for this platform.
 */
export async function createEngine(options: EngineOptions): Promise<InterruptibleEngine> {
  return interruptible(await makers[options.backend ?? "onnxruntime"](options));
}
