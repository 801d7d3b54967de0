import { z } from "zod";
import { gelu, geluTanh, silu } from "../graph/ops/activations.ts";
import { relu } from "../graph/ops/comparison.ts";
import type { Tensor } from "../graph/tensor.ts";
import { quoted } from "../one-line.ts";

/** The activations of transformers that MLPs without gates have, by their names there. */
const activations = {
  gelu,
  gelu_fast: geluTanh,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_python: gelu,
  relu,
  silu,
  swish: silu,
} satisfies Record<string, (x: Tensor) => Tensor>;

/** The name of an activation in a config.json. */
export type Activation = keyof typeof activations;

/** The function of that name. */
export const activationOf = (name: Activation): ((x: Tensor) => Tensor) => activations[name];

const names = Object.keys(activations) as Activation[];

/** A key of config.json that names an activation, with the value of a missing key or a null. */
export const activationField = (absent: Activation) =>
  z
    .enum(names, { error: ({ input }) => `${quoted(input)} is not supported, only ${names.join(", ")}` })
    .nullish()
    .transform((value) => value ?? absent);
