/**
 * The golden models of `test/golden/architectures`: tiny ones that transformers made, with what it
 * computes with them. The tests take every folder there.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { packBatch } from "../../src/data/batch.ts";
import type { TokenizedExample } from "../../src/data/example.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import type { Parameters } from "../../src/models/parameters.ts";
import { createObjective } from "../../src/objectives/index.ts";
import { Learner, type LearnerOptions } from "../../src/step/learner.ts";
import { loadLanguageModel } from "../../src/storage/load-model.ts";
import { example, zeroGradients } from "./tiny.ts";

/**
 * A loss and, for each parameter's gradient, its norm and its projection on cos(i) over the flat
 * index i.
 */
export interface Gradients {
  loss: number;
  parameters: Record<string, { norm: number; probe: number }>;
}

/** The objectives of the golden steps. */
export const stepMethods = ["dpo", "tdpo2"] as const;
type StepMethod = (typeof stepMethods)[number];

/** The loss of the packed row as a pair, and the L2 norm of its whole gradient. */
interface Step {
  loss: number;
  gradientNorm: number;
}

/** What a golden.json holds; its `about` explains it. */
export interface Golden {
  tokens: number[][];
  logits: number[][][];
  gradient: Gradients;
  packed: {
    tokens: number[];
    prompt: number;
    chosen: number;
    rejected: number;
    positions: number[];
    logits: number[][];
  };
  steps: Record<StepMethod, Step>;
}

/** What a golden.json holds besides where an adapter lies in the folder. */
export interface GoldenAdapter extends Golden {
  /** Of the first sequence. */
  adapterLogits: number[][];
  adapterGradient: Gradients;
  adapterSteps: Record<StepMethod, Step>;
}

const root = fileURLToPath(new URL("../golden/architectures", import.meta.url));

/** The folder of a golden model. */
export const goldenFolder = (name: string): string => join(root, name);

export const goldenConfiguration = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(goldenFolder(name), "config.json"), "utf8"));

export function readGolden(name: string): Golden {
  return JSON.parse(readFileSync(join(goldenFolder(name), "golden.json"), "utf8"));
}

/** @throws Error where the golden model has no adapter. */
export function readGoldenAdapter(name: string): GoldenAdapter {
  const golden = readGolden(name);
  if (!("adapterLogits" in golden)) throw new Error(`${name} has no adapter`);
  return golden as GoldenAdapter;
}

/** The golden models, and those with an adapter. */
export const goldenModels = readdirSync(root)
  .filter((name) => existsSync(join(goldenFolder(name), "config.json")))
  .sort();
export const goldenAdapters = goldenModels.filter((name) => existsSync(join(goldenFolder(name), "adapter")));

/** The reference of a golden model's steps: each number of the model times 1 + 0.05 sin(i). */
export async function goldenReference(engine: Engine, name: string, like: LanguageModel): Promise<LanguageModel> {
  const reference = await loadLanguageModel(engine, goldenFolder(name), { like });
  for (const { data } of reference.trainable.values()) {
    for (let index = 0; index < data.length; index++) data[index]! *= 1 + 0.05 * Math.sin(index);
  }
  return reference;
}

/** The packed row as a pair. */
export function goldenPair({ packed: { tokens, prompt, chosen } }: Golden): TokenizedExample {
  return example(tokens.slice(0, prompt), tokens.slice(prompt, prompt + chosen), tokens.slice(prompt + chosen));
}

/** What a step of training on the packed row begins with. */
export async function stepOf(
  models: Pick<LearnerOptions, "engine" | "policy" | "reference">,
  method: StepMethod,
  golden: Golden,
): Promise<Step> {
  const objective = createObjective({ name: method, beta: 0.1, ...(method === "tdpo2" && { alpha: 0.5 }) });
  const gradients = zeroGradients(models.engine, models.policy);
  const [judged] = await new Learner({ ...models, objective }).accumulate(
    packBatch([goldenPair(golden)]),
    1,
    gradients,
  );
  const norms = Array.from(gradients.values(), ({ data }) => Math.hypot(...data));
  return { loss: judged!.outcome.loss, gradientNorm: Math.hypot(...norms) };
}

/**
 * How far each gradient is from the golden one, relative to the latter's norm, or to a thousandth
 * of the largest norm where it is smaller: a bias of keys without rotary positions changes nothing,
 * and its gradient is rounding alone.
 *
 * @throws Error where there are other gradients than golden ones.
 */
export function gradientErrors(gradients: Parameters, { parameters }: Gradients): Map<string, number> {
  if (String([...gradients.keys()].sort()) !== String(Object.keys(parameters).sort())) {
    throw new Error(`gradients of ${[...gradients.keys()]}, expected of ${Object.keys(parameters)}`);
  }
  const least = Math.max(...Object.values(parameters).map(({ norm }) => norm)) / 1000;
  return new Map(
    Object.entries(parameters).map(([name, { norm, probe }]) => {
      const data = Float64Array.from(gradients.get(name)!.data);
      const actualNorm = Math.hypot(...data);
      const actualProbe = data.reduce((sum, value, index) => sum + value * Math.cos(index), 0);
      return [name, Math.max(Math.abs(actualNorm - norm), Math.abs(actualProbe - probe)) / Math.max(norm, least)];
    }),
  );
}
