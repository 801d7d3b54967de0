import { type Engine, type FloatValue, upload } from "../engine/engine.ts";
import { elementCount } from "../graph/tensor.ts";
import { parameterShapes } from "../models/architecture.ts";
import { type LanguageModel, transformerFor } from "../models/language-model.ts";
import { adapterShapes, type LoraSettings } from "../models/lora.ts";
import { type ParameterPlan, plainPlan } from "../models/section-parameters.ts";
import { Transformer } from "../models/transformer.ts";
import { Random } from "../random.ts";
import { type ModelFolder, openModelFolder } from "./folder.ts";
import { type FrozenFormat, type FrozenParameters, loadFrozenParameters } from "./frozen-parameters.ts";
import { readParameter } from "./read-parameter.ts";

export interface LoadOptions {
  /**
   * Another model, which stays as long as this one: its compiled programs serve this one too, if
   * both have the same architecture, sizes and formats, and so do its frozen parameters, if both
   * are adapters on one base.
   */
  like?: LanguageModel | undefined;
  /**
   * The model will not train: its parameters are mapped from the file where that can be, not
   * copied.
   */
  frozen?: boolean;
  /** The way the base of an adapter, or a frozen model, is kept; by default as it is stored. */
  base?: FrozenFormat | undefined;
}

/** An adapter to train on a model: new, or as a folder has it. */
export interface AdapterOptions {
  readonly lora: LoraSettings;
  /** Of the new adapter's random numbers. */
  readonly seed: number;
  /** The way the base is kept. */
  readonly base: FrozenFormat;
}

/**
 * Loads a model folder into an engine. The base of an adapter is mapped, not copied.
 *
 * @throws UserError for anything wrong with the folder.
 */
export async function loadLanguageModel(
  engine: Engine,
  folder: ModelFolder | string,
  { like, frozen = false, base = "stored" }: LoadOptions = {},
): Promise<LanguageModel> {
  const opened = typeof folder === "string" ? await openModelFolder(folder) : folder;
  const { configuration, architecture, lora } = opened;
  if (lora) return loadWithAdapter(engine, opened, { lora, base, seed: 0, like });
  if (frozen) {
    const { parameters: frozen, matrices, memory } = await loadFrozenParameters(engine, opened, base);
    // Programs that can train serve a frozen model as well.
    const plan: ParameterPlan = matrices === "float" ? plainPlan : { matrices, trained: "none", dropout: false };
    const transformer = transformerFor(engine, architecture.replan(plan), like, { trains: false });
    return { configuration, transformer, parameters: frozen, trainable: new Map(), memory };
  }
  const parameters = new Map<string, FloatValue>();
  for (const name of parameterShapes(architecture).keys())
    parameters.set(name, await readParameter(engine, opened, name));
  const transformer = transformerFor(engine, architecture, like);
  return { configuration, transformer, parameters, trainable: parameters, memory: [...parameters.values()] };
}

/**
 * The model that an adapter's training began with, on the same frozen parameters: the adapter that
 * `start` holds, or none.
 *
 * @throws UserError if the folder cannot be read any more.
 */
export async function beforeTraining(
  engine: Engine,
  policy: LanguageModel,
  start: ModelFolder,
): Promise<LanguageModel> {
  const { configuration, transformer } = policy;
  if (!start.lora) {
    const { architecture } = transformer;
    const { matrices } = architecture.plan;
    const base = new Transformer(engine, architecture.replan({ matrices, trained: "none", dropout: false }));
    return { configuration, transformer: base, parameters: policy.parameters, trainable: new Map(), memory: [] };
  }
  const adapter = new Map<string, FloatValue>();
  for (const name of policy.trainable.keys()) adapter.set(name, await readParameter(engine, start, name));
  const parameters = new Map([...policy.parameters, ...adapter]);
  return { configuration, transformer, parameters, trainable: new Map(), memory: [...adapter.values()] };
}

/**
 * A model folder with an adapter to train: the folder's own, whose rank, scale and modules `lora`
 * then has, or else a new one that changes nothing yet (A as PEFT begins, uniform within 1 / √in; B
 * zero).
 *
 * @throws UserError for anything wrong with the folder.
 */
export async function loadWithAdapter(
  engine: Engine,
  folder: ModelFolder,
  { lora, base, seed, like }: AdapterOptions & Pick<LoadOptions, "like">,
): Promise<LanguageModel> {
  const { configuration, architecture } = folder;
  const below = folder.base ?? folder;
  const {
    parameters: frozen,
    matrices,
    memory,
  } = frozenOf(like, below, base) ?? (await loadFrozenParameters(engine, below, base));
  const adapter = new Map<string, FloatValue>();
  for (const [name, shape] of adapterShapes(architecture, lora)) {
    adapter.set(name, folder.lora ? await readParameter(engine, folder, name) : initial(engine, name, shape, seed));
  }
  const transformer = transformerFor(engine, architecture.replan({ matrices, trained: lora, dropout: false }), like);
  const parameters = new Map([...frozen, ...adapter]);
  return {
    ...{ configuration, transformer, parameters, trainable: adapter, memory: [...memory, ...adapter.values()] },
    adapter: { lora, base: below.path },
  };
}

/**
 * The frozen parameters of another model, if they are those of this base in this format: two
 * adapters then share one copy.
 */
function frozenOf(
  like: LanguageModel | undefined,
  below: ModelFolder,
  format: FrozenFormat,
): FrozenParameters | undefined {
  if (like?.adapter?.base !== below.path || like.parameters.size === 0) return undefined;
  const { matrices } = like.transformer.architecture.plan;
  if ((matrices === "int4") !== (format === "int4")) return undefined;
  const parameters = new Map([...like.parameters].filter(([name]) => !like.trainable.has(name)));
  return { parameters, matrices, memory: [] };
}

function initial(engine: Engine, name: string, shape: readonly number[], seed: number): FloatValue {
  if (!name.endsWith(".lora_A.weight")) return engine.zeros(shape);
  const random = Random.from(seed, "adapter", name);
  const bound = 1 / Math.sqrt(shape[1]!);
  const numbers = Float64Array.from({ length: elementCount(shape) }, () => bound * (2 * random.next() - 1));
  return upload(engine, shape, numbers);
}
