import { type Engine, type FloatValue, rows } from "../engine/engine.ts";
import { nextTurn } from "../event-loop.ts";
import { elementCount } from "../graph/tensor.ts";
import { Random } from "../random.ts";
import { type Architecture, parameterShapes } from "./architecture.ts";
import { type LanguageModel, transformerFor } from "./language-model.ts";

/** Numbers drawn at once: about 10 ms, so that the process hears Ctrl-C. */
const pieceSize = 2 ** 16;

/**
 * A new model: matrices normal with the given standard deviation, norms one, biases zero. Each
 * parameter has its own stream of the seed.
 */
export async function initializeLanguageModel(
  engine: Engine,
  architecture: Architecture,
  options: { seed: number; standardDeviation: number; like?: LanguageModel | undefined },
): Promise<LanguageModel> {
  const parameters = new Map<string, FloatValue>();
  for (const [name, shape] of parameterShapes(architecture)) {
    const value = engine.allocate(shape);
    if (shape.length === 1) engine.fill(value, name.endsWith(".bias") ? 0 : 1);
    else await fillNormal(engine, value, Random.from(options.seed, "initialize", name), options.standardDeviation);
    parameters.set(name, value);
  }
  const transformer = transformerFor(engine, architecture, options.like);
  const { configuration } = architecture;
  return { configuration, transformer, parameters, trainable: parameters, memory: [...parameters.values()] };
}

async function fillNormal(engine: Engine, value: FloatValue, random: Random, standardDeviation: number): Promise<void> {
  const length = elementCount(value.shape);
  const flat = { ...value, shape: [length] };
  for (let start = 0; start < length; start += pieceSize) {
    const piece = rows(flat, start, Math.min(start + pieceSize, length));
    engine.write(
      piece,
      Float64Array.from({ length: piece.shape[0]! }, () => standardDeviation * random.normal()),
    );
    await nextTurn();
  }
}
