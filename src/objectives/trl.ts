import type { ObjectiveOptions } from "./index.ts";

/**
 * The objective that is meant by a `loss_type` of TRL's DPOTrainer, CPOTrainer or ORPOTrainer
 * (version 1.13), where only the name and such options are given as TRL has no other word for.
 */
export const trlLossTypes: Readonly<Record<string, ObjectiveOptions>> = {
  sigmoid: { name: "dpo" },
  sigmoid_norm: { name: "dpo", aggregate: "mean" },
  hinge: { name: "hinge" },
  ipo: { name: "ipo", aggregate: "mean" },
  robust: { name: "robust-dpo" },
  exo_pair: { name: "exo" },
  nca_pair: { name: "nca" },
  sppo_hard: { name: "sppo" },
  apo_zero: { name: "apo-zero" },
  apo_down: { name: "apo-down" },
  bco_pair: { name: "bco-pair", shift: "none" },
  discopop: { name: "discopop" },
  aot: { name: "aot" },
  aot_unpaired: { name: "aot", paired: false },
  sft: { name: "sft" },
  cpo: { name: "cpo" },
  simpo: { name: "simpo" },
  alphapo: { name: "alphapo" },
  orpo: { name: "orpo" },
};

/**
 * What a recipe says for a `loss_type` of TRL that has another name here.
 *
 * @param names the objectives to choose from
 */
export function fromTrl(lossType: string, names: readonly string[]): string | undefined {
  if (!Object.hasOwn(trlLossTypes, lossType)) return undefined;
  const { name, ...options } = trlLossTypes[lossType]!;
  if (!names.includes(name)) return undefined;
  const entries = Object.entries(options).map(([key, value]) => `, ${key}: ${value}`);
  return `{ name: ${name}${entries.join("")} }`;
}
