import { UserError } from "../errors.ts";
import type { Architecture } from "../models/architecture.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import { type ParameterPlan, plainPlan } from "../models/section-parameters.ts";
import { quoted } from "../one-line.ts";
import type { Family } from "./family.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { gptNeo } from "./gpt-neo.ts";
import { gptNeox } from "./gpt-neox.ts";
import { gpt2 } from "./gpt2.ts";
import { gptj } from "./gptj.ts";
import { granite } from "./granite.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { olmo } from "./olmo.ts";
import { olmo2 } from "./olmo2.ts";
import { phi } from "./phi.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { smollm3 } from "./smollm3.ts";
import { stablelm } from "./stablelm.ts";
import { unsupported } from "./unsupported.ts";

/** All families, one row each. Each builds its own configurations only: see `familyOf`. */
const families: readonly Family<ModelConfiguration>[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  smollm3,
  gemma,
  gemma2,
  gemma3,
  olmo,
  olmo2,
  granite,
  phi,
  phi3,
  stablelm,
  gpt2,
  gptNeo,
  gptNeox,
  gptj,
];

/** The `model_type`s that are supported. */
export const familyNames: readonly string[] = families.map(({ name }) => name);

/** The family that a configuration belongs to. */
export function familyOf({ family: name }: ModelConfiguration): Family<ModelConfiguration> {
  const family = families.find((one) => one.name === name);
  if (!family) throw new Error(`there is no family ${name}`);
  return family;
}

/** The architecture that a configuration describes. */
export function architectureOf(configuration: ModelConfiguration, plan: ParameterPlan = plainPlan): Architecture {
  return {
    ...familyOf(configuration).build(configuration, plan),
    plan,
    width: configuration.width,
    vocabularySize: configuration.vocabularySize,
    configuration,
    replan: (other) => architectureOf(configuration, other),
  };
}

/**
 * Interprets the content of a config.json.
 *
 * @param file for error messages
 * @throws UserError for a family that we lack, or naming the key that is missing, wrong, or asks
 * for something that we lack.
 */
export function parseConfiguration(json: unknown, file: string): ModelConfiguration {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new UserError("must be a JSON object", { file });
  }
  const raw: Record<string, unknown> = { ...json };
  const family = findFamily(raw, file);
  return { ...family.parse(raw, file), family: family.name, raw };
}

/**
 * The family of a config.json by its `model_type`, or, in files without one, by its architecture.
 */
function findFamily(raw: Readonly<Record<string, unknown>>, file: string): Family<ModelConfiguration> {
  const { model_type: type, architectures } = raw;
  const found = [architectures ?? []].flat();
  const untyped = type === undefined || type === null;
  const family = families.find(({ name, architectures: own }) =>
    untyped ? own.some((one) => found.includes(one)) : name === type,
  );
  if (!family && (!untyped || found.length === 0)) {
    throw unsupported(raw, familyNames, file);
  }
  if (!family || (found.length > 0 && !family.architectures.some((one) => found.includes(one)))) {
    const classes = (family ? [family] : families)
      .flatMap((one) => one.architectures)
      .sort()
      .join(", ");
    const problem = `${quoted(architectures)} is not supported`;
    throw new UserError(problem, { file, field: "architectures", hint: `supported are ${classes}` });
  }
  return family;
}
