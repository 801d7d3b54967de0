import { describe, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { byAdapterNames } from "./adapter-names.ts";

const layers = [0, 1].flatMap((index) => [`layers.${index}.self_attn.q_proj`, `layers.${index}.mlp.down_proj`]);
const known = layers.flatMap((layer) =>
  ["A", "B"].map((matrix) => `base_model.model.model.${layer}.lora_${matrix}.weight`),
);
const read = (names: readonly string[]) => [
  ...byAdapterNames("a.safetensors", new Map(names.map((name) => [name, name])), new Set(known)).keys(),
];

describe("names that say the same as PEFT's", () => {
  const wrapped = "layers.$1._fsdp_wrapped_module._checkpoint_wrapped_module.";
  const bare = (name: string) => name.replace("base_model.model.", "");
  test.each<[string, (name: string) => string]>([
    ["PEFT's own", (name) => name],
    ["with the adapter's name", (name) => name.replace(/weight$/, "default.weight")],
    ["with another name", (name) => name.replace(/weight$/, "my_adapter-2.weight")],
    ["of a compiled model", (name) => name.replace("base_model.model.", "base_model.model._orig_mod.")],
    ["of a compiled model around PEFT's", (name) => `_orig_mod.${name}`],
    ["of a data-parallel model", (name) => `module.${name}`],
    ["of FSDP with checkpointing", (name) => name.replace(/layers\.(\d)\./, wrapped)],
    ["without PEFT's prefix", bare],
    ["of the base model alone", (name) => name.replace("base_model.model.model.", "base_model.model.")],
    ["of the base model alone, without prefix", (name) => name.replace("base_model.model.model.", "")],
    ["with everything", (name) => `module._orig_mod.${bare(name).replace(/weight$/, "default.weight")}`],
  ])("%s", (_, change) => expect(read(known.map(change))).toEqual(known));
});

test("unknown names stay, for what they are to be told", () => {
  const layer = "base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight";
  const names = ["base_model.model.lm_head.lora_A.weight", layer];
  expect(read(names)).toEqual(names);
});

test("an end that two layers have means neither", () => {
  const twice = new Set(["base_model.model.a.x.lora_A.weight", "base_model.model.b.x.lora_A.weight"]);
  const name = "x.lora_A.weight";
  expect([...byAdapterNames("f", new Map([[name, 1]]), twice).keys()]).toEqual([name]);
});

const [first] = known as [string];
const named = (adapter: string) => first.replace("weight", `${adapter}.weight`);
test.each<[string, string[], RegExp]>([
  ["two adapters", [named("a"), named("b")], /holds 2 adapters: "a", "b"; save one/],
  ["one with a name and one without", [first, named("b")], /holds 2 adapters: one without a name, "b"/],
  ["a matrix twice", [first, `module.${first}`], /module\..*: is the same matrix as base_model/],
  ["names of mlx-lm", ["model.layers.0.self_attn.q_proj.lora_a"], /lora_a: is mlx-lm's name for a matrix/],
  ["names of kohya", ["lora_te_layers_0_q_proj.lora_down.weight"], /lora_down\.weight: is kohya's name/],
])("%s is refused", (_, names, message) => {
  expect(() => read(names)).toThrow(UserError);
  expect(() => read(names)).toThrow(message);
});
