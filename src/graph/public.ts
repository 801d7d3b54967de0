/** Operations on symbolic tensors, with their gradients; the entry point `tokenwise/graph`. */
export { gradients } from "./gradient.ts";
export { interpret } from "./interpreter.ts";
export * from "./ops/activations.ts";
export * from "./ops/comparison.ts";
export * from "./ops/elementwise.ts";
export { linear, matmul } from "./ops/matmul.ts";
export { mean, sum } from "./ops/reduce.ts";
export { reshape, transpose } from "./ops/shape.ts";
export { logSoftmax, softmax } from "./ops/softmax.ts";
export { defineProgram, type Program } from "./program.ts";
export { input, type Tensor, type Value } from "./tensor.ts";
