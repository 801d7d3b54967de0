import type { Engine, Executable, FloatValue } from "../engine/engine.ts";
import { gatherRows } from "../engine/rows.ts";
import { scale } from "../graph/ops/elementwise.ts";
import { defineProgram } from "../graph/program.ts";
import { input } from "../graph/tensor.ts";
import type { Architecture } from "./architecture.ts";
import type { Parameters, ParameterValues } from "./parameters.ts";

/** The tokens that are embedded, and their positions. */
export interface PlacedTokens {
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
}

/** Turns tokens into the first block's input, and its gradient into that of the embedding. */
export class Embedding {
  readonly #engine: Engine;
  readonly #architecture: Architecture;
  readonly #scale: Executable | undefined;

  constructor(engine: Engine, architecture: Architecture) {
    this.#engine = engine;
    this.#architecture = architecture;
    const { embeddingScale, width } = architecture;
    const x = input(["tokens", width]);
    this.#scale =
      embeddingScale === undefined
        ? undefined
        : engine.compile(defineProgram("embedding scale", { x }, { scaled: scale(x, embeddingScale) }));
  }

  /** [tokens, width], in memory of the engine. */
  async forward(parameters: ParameterValues, { tokens, positions }: PlacedTokens): Promise<FloatValue> {
    const { embedding, positionEmbedding } = this.#architecture;
    const x = gatherRows(this.#engine, parameters.get(embedding)!, tokens);
    await this.#scale?.run({ x }, { scaled: x });
    if (positionEmbedding) {
      const { name, positions: count } = positionEmbedding;
      const beyond = positions.find((position) => position >= count);
      if (beyond !== undefined) throw new RangeError(`${name} has ${count} positions, and none for position ${beyond}`);
      const rows = gatherRows(this.#engine, parameters.get(name)!, positions);
      this.#engine.addRows(x, rows, Array.from(tokens.keys()));
      this.#engine.release(rows);
    }
    return x;
  }

  /**
   * Adds the gradient of the embedding, and of learned positions, to their totals. `dx` is used up.
   */
  async backward(gradients: Parameters, dx: FloatValue, { tokens, positions }: PlacedTokens): Promise<void> {
    const { embedding, positionEmbedding } = this.#architecture;
    if (positionEmbedding) this.#engine.addRows(gradients.get(positionEmbedding.name)!, dx, positions);
    await this.#scale?.run({ x: dx }, { scaled: dx });
    this.#engine.addRows(gradients.get(embedding)!, dx, tokens);
  }
}
