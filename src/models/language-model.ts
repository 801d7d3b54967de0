import type { Engine, FloatValue } from "../engine/engine.ts";
import type { LlamaConfiguration } from "./configuration.ts";
import { type ModelFolder, openModelFolder } from "./folder.ts";
import { llama } from "./llama.ts";
import { parameterShapes } from "./parameter-shapes.ts";
import { type Parameters, Transformer } from "./transformer.ts";

/** A transformer with weights. */
export interface LanguageModel {
  readonly configuration: LlamaConfiguration;
  readonly transformer: Transformer;
  readonly parameters: Parameters;
}

/**
 * Loads a model folder into an engine.
 *
 * @param options.like another model whose compiled programs serve this one too, if both have the same architecture and sizes
 * @throws UserError for anything wrong with the folder.
 */
export async function loadLanguageModel(
  engine: Engine,
  folder: ModelFolder | string,
  { like }: { like?: LanguageModel | undefined } = {},
): Promise<LanguageModel> {
  const opened = typeof folder === "string" ? await openModelFolder(folder) : folder;
  const { configuration } = opened;
  const parameters = new Map<string, FloatValue>();
  for (const [name, shape] of parameterShapes(configuration)) {
    const value = engine.allocate(shape);
    if (value.data instanceof Float32Array) await opened.read(name, value.data);
    else value.data.set(await opened.read(name));
    parameters.set(name, value);
  }
  return { configuration, transformer: transformerFor(engine, configuration, like), parameters };
}

/** The compiled programs for a configuration: those of `like` where they serve. */
export function transformerFor(
  engine: Engine,
  configuration: LlamaConfiguration,
  like: LanguageModel | undefined,
): Transformer {
  return like && sharePrograms(like.configuration, configuration)
    ? like.transformer
    : new Transformer(engine, llama(configuration));
}

/** Whether the programs compiled for one model serve the other: all that the programs depend on is the same. */
export function sharePrograms(one: LlamaConfiguration, other: LlamaConfiguration): boolean {
  return JSON.stringify({ ...one, raw: 0 }) === JSON.stringify({ ...other, raw: 0 });
}
