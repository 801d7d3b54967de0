import { expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { parseConfiguration } from "./registry.ts";

/** Configurations as they are published, as far as they tell what kind of model they are of. */
test.each<[object, string]>([
  [{ model_type: "mixtral", num_local_experts: 8, num_experts_per_tok: 2 }, '"mixtral" is a mixture of experts'],
  [{ model_type: "qwen3_moe", num_experts: 128, moe_intermediate_size: 768 }, '"qwen3_moe" is a mixture of experts'],
  [{ model_type: "deepseek_v3", n_routed_experts: 256 }, '"deepseek_v3" is a mixture of experts'],
  [{ model_type: "granitemoe" }, '"granitemoe" is a mixture of experts'],
  [{ model_type: "qwen2_5_vl", hidden_size: 2048, vision_config: {} }, '"qwen2_5_vl" is a multimodal model'],
  [{ model_type: "qwen2_audio", audio_config: {} }, '"qwen2_audio" is a multimodal model'],
  [{ model_type: "llama4", text_config: { num_local_experts: 16 } }, '"llama4" is a multimodal model'],
  [{ model_type: "opt", architectures: ["OPTForCausalLM"] }, '"opt" is'],
])("%j is refused by its kind, with what is supported", (json, kind) => {
  const parse = () => parseConfiguration(json, "config.json");
  expect(parse).toThrow(UserError);
  expect(parse).toThrow(`config.json: model_type: ${kind}`);
  expect(parse).toThrow(/not supported; supported are (\w+, )+smollm3/);
});

test("the text part of a multimodal model is named where it is supported", () => {
  const json = { model_type: "gemma3", text_config: { model_type: "gemma3_text" }, vision_config: {} };
  expect(() => parseConfiguration(json, "config.json")).toThrow(
    'model_type: "gemma3" is a multimodal model, which is not supported; its text part is a gemma3_text: save that ' +
      "alone, text_config as config.json, and its tensors by a gemma3_text's names; supported are ",
  );
});
