import type { z } from "zod";
import type { ArchitectureParts } from "../models/architecture.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import type { ParameterPlan } from "../models/section-parameters.ts";
import type { ConfigKeys } from "./config-keys.ts";

/**
 * What a family's own `parse` finds in a config.json; the rest of a configuration is the same for
 * all families.
 */
export type Parsed<Configuration extends ModelConfiguration> = Omit<Configuration, "family" | "raw">;

/**
 * The usual name of a head that is not the embedding matrix, in transformers' checkpoints. Every
 * family's head may have it, whatever the family calls it.
 */
export const usualHead = "lm_head.weight";

/**
 * A family of models: how to read its config.json, and what it computes. One file each, and one row
 * in `registry.ts`.
 */
export interface Family<Configuration extends ModelConfiguration> {
  /** The `model_type` of its config.json. */
  readonly name: string;
  /** The classes of transformers that are models of this family with a head. */
  readonly architectures: readonly string[];
  /**
   * What stands before the names of parameters below the head; files of the base model alone lack
   * it.
   */
  readonly prefix: string;
  /** The name of a head that is not the embedding matrix. */
  readonly untiedHead: string;
  /** The key of config.json that counts the layers. */
  readonly layersKey: string;
  /**
   * The names of tensors that older versions of transformers stored although they follow from the
   * configuration.
   */
  readonly buffers: RegExp;
  /** What the family does with each key of its config.json. */
  readonly keys: ConfigKeys<z.ZodRawShape>;
  /**
   * Reads a config.json with the defaults of transformers' class.
   *
   * @param file for error messages
   * @throws UserError naming the key that is missing, wrong, or asks for something that we lack.
   */
  parse(json: Readonly<Record<string, unknown>>, file: string): Parsed<Configuration>;
  /** The model's parts, with parameters kept as planned. */
  build(configuration: Configuration, plan: ParameterPlan): ArchitectureParts;
}
