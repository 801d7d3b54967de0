import type { PackedBatch } from "../data/batch.ts";
import type { Engine, FloatValue } from "../engine/engine.ts";
import { gradientName } from "../graph/section.ts";
import type { AdapterDropout } from "./adapter-dropout.ts";
import { type Architecture, parametersOf } from "./architecture.ts";
import { Embedding } from "./embedding.ts";
import { Layers, type Values } from "./layers.ts";
import type { Parameters, ParameterValues } from "./parameters.ts";
import { compileSection, runBackward, type SectionPrograms } from "./section-programs.ts";

/**
 * The values that a forward pass keeps for its backward pass: for each layer the flat arrays that
 * its sections saved.
 */
interface SavedPass {
  readonly layers: Values[];
  /** Input of the last norm, at the scored entries. */
  readonly last: FloatValue;
}

/**
 * The result of a forward pass: hidden states after the last norm, [entries, width], and what
 * `backward` needs.
 */
export interface ForwardPass {
  readonly hidden: FloatValue;
  readonly saved: SavedPass | undefined;
}

/**
 * Runs a transformer forward and backward over packed batches. The programs are compiled once and
 * run for every layer, for the policy as for the reference; only the weights differ.
 */
export class Transformer {
  readonly architecture: Architecture;
  readonly embedding: Embedding;
  readonly #engine: Engine;
  readonly #layers: Layers;
  readonly #finalNorm: SectionPrograms;

  constructor(engine: Engine, architecture: Architecture) {
    this.architecture = architecture;
    this.#engine = engine;
    this.embedding = new Embedding(engine, architecture);
    this.#layers = new Layers(engine, architecture);
    this.#finalNorm = compileSection(engine, architecture.finalNorm, {
      trains: architecture.plan.trained !== "none",
    });
  }

  /**
   * Hidden states at the scored entries of the batch, [entries, width], after the last norm.
   *
   * @param options.save what to keep for `backward`: nothing, all that it needs, or only each
   * layer's input, from which `backward` computes the rest again (activation checkpointing)
   * @param options.dropout masks the adapters' inputs, if they are compiled with it
   * @param options.onKeysAndValues is lent each layer's key and value,
   * [tokens, keyValueHeads * headWidth]
   */
  async forward(
    parameters: ParameterValues,
    batch: PackedBatch,
    {
      save,
      dropout,
      onKeysAndValues,
    }: {
      save: "nothing" | "activations" | "inputs";
      dropout?: AdapterDropout | undefined;
      onKeysAndValues?: (layer: number, values: { key: FloatValue; value: FloatValue }) => void;
    },
  ): Promise<ForwardPass> {
    const layers: Values[] = [];
    let x = await this.embedding.forward(parameters, batch);
    for (let layer = 0; layer < this.#layers.count; layer++) {
      const { output, saved } = await this.#layers.forward({ parameters, batch, dropout }, layer, x, {
        save: save === "activations",
        onKeysAndValues: (values) => onKeysAndValues?.(layer, values),
      });
      if (save === "nothing") this.#engine.release(x);
      else layers.push({ x, ...saved });
      x = output;
    }
    const { hidden } = await this.#finalNorm.plain.run({
      x,
      ...parametersOf(this.architecture.finalNorm, parameters, 0),
    });
    if (save === "nothing") this.#engine.release(x);
    return { hidden: hidden!, saved: save === "nothing" ? undefined : { layers, last: x } };
  }

  /**
   * Adds the gradient of a loss to `gradients`, given its gradient for the hidden states, and
   * releases what the pass saved.
   *
   * @param gradients totals by parameter name, one for each that trains; those of the head are not
   * touched here.
   * @param dropout that of the forward pass
   */
  async backward(
    parameters: ParameterValues,
    batch: PackedBatch,
    pass: ForwardPass,
    hiddenGradient: FloatValue,
    gradients: Parameters,
    dropout?: AdapterDropout,
  ): Promise<void> {
    const engine = this.#engine;
    const { finalNorm } = this.architecture;
    const { layers, last } = pass.saved!;
    const place = { parameters, gradients, layer: 0 };
    const inputs = { x: last, [gradientName("hidden")]: hiddenGradient };
    const lastNorm = await runBackward(finalNorm, this.#finalNorm.backward!, place, inputs);
    engine.release(last);
    let dx: FloatValue | undefined = lastNorm[gradientName("x")]!;
    for (let layer = layers.length - 1; layer >= 0 && dx; layer--)
      dx = await this.#layers.backward({ parameters, batch, dropout }, layer, layers[layer]!, dx, gradients);
    if (!dx) return;
    if (this.architecture.plan.trained === "all") await this.embedding.backward(gradients, dx, batch);
    engine.release(dx);
  }

  /** Releases a forward pass whose backward pass is not wanted. */
  release({ hidden, saved }: ForwardPass): void {
    const layers = saved?.layers.flatMap((layer) => Object.values(layer)) ?? [];
    for (const value of [hidden, ...layers, ...(saved ? [saved.last] : [])]) this.#engine.release(value);
  }

  /** Gives back the tables of the last batch. */
  forgetTables(): void {
    this.#layers.forgetTables();
  }
}
