import type { Engine } from "../engine/engine.ts";
import type { ModelConfiguration } from "../models/configuration.ts";
import { type LanguageModel, sharePrograms } from "../models/language-model.ts";

/** A model that can be loaded. */
export interface Loadable {
  readonly configuration: ModelConfiguration;
  load(engine: Engine, options: { like?: LanguageModel | undefined }): Promise<LanguageModel>;
}

/** A model that is loaded once for all who share it. */
export interface SharedLoadable extends Loadable {
  /** Equal for those that are the same model. */
  readonly key: string;
}

/**
 * Loads models into one engine, one after another: equal architectures share their compiled
 * programs, and all share memory.
 */
export class ModelLoader {
  readonly #engine: Engine;
  /** One model, without its weights, for each architecture seen. */
  readonly #architectures: LanguageModel[] = [];
  #reference: { readonly key: string; readonly model: LanguageModel } | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Loads a model; to be given back with `release`. */
  async load({ configuration, load }: Loadable): Promise<LanguageModel> {
    const like = this.#architectures.find((seen) => sharePrograms(seen.configuration, configuration));
    const model = await load(this.#engine, { like });
    if (!like) this.#architectures.push({ ...model, parameters: new Map(), trainable: new Map(), memory: [] });
    return model;
  }

  /**
   * Loads a reference, or finds it still there from the last time; another one makes room for it.
   */
  async loadReference(reference: SharedLoadable | undefined): Promise<LanguageModel | undefined> {
    if (!reference) return undefined;
    if (this.#reference && this.#reference.key !== reference.key) {
      this.release(this.#reference.model);
      this.#reference = undefined;
    }
    this.#reference ??= { key: reference.key, model: await this.load(reference) };
    return this.#reference.model;
  }

  /** Gives a model's memory to the next one. */
  release({ memory }: LanguageModel): void {
    for (const value of memory) this.#engine.release(value);
  }
}
