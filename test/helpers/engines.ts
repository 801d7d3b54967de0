import { float64Engine } from "../../src/engine/float64.ts";
import { onnxRuntimeEngine } from "../../src/engine/native/onnx-runtime.ts";

/**
 * Both engines, each made once for a test file, and how closely two ways to compute the same must
 * agree on it.
 */
export const engines = [
  { precision: "float64", engine: float64Engine(), tolerance: 1e-10 },
  { precision: "float32", engine: onnxRuntimeEngine({ threads: 2 }), tolerance: 1e-5 },
] as const;
