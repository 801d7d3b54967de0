import type { Engine, Executable, FloatValue } from "../engine/engine.ts";
import { backwardProgram, forwardProgram, gradientName, type Section } from "../graph/section.ts";
import { type Block, parametersOf } from "./architecture.ts";
import type { Parameters, ParameterValues } from "./parameters.ts";
import type { ModelSection } from "./section-parameters.ts";

/**
 * The programs of a section: forward with and without what a backward pass needs, and, in a model
 * that trains, backward.
 */
export interface SectionPrograms {
  readonly plain: Executable;
  readonly saving: Executable;
  readonly backward: Executable | undefined;
}

export type BlockPrograms = Readonly<Record<keyof Block["sections"], SectionPrograms>>;

/** The programs of a block; with `trains`, those of its backward pass too. */
export function compileBlock(engine: Engine, { sections }: Block, { trains }: { trains: boolean }): BlockPrograms {
  const { attentionInput, attention, attentionOutput } = sections;
  return {
    // The residual stream's gradient arrives from the block's second half and grows by what flows
    // through the first.
    attentionInput: compileSection(engine, attentionInput, { trains, accumulate: ["x"] }),
    attention: compileSection(engine, attention, { trains }),
    attentionOutput: compileSection(engine, attentionOutput, { trains }),
  };
}

/**
 * The programs of a section.
 *
 * @param options.accumulate see `backwardProgram`
 */
export function compileSection(
  engine: Engine,
  section: Section,
  { trains, accumulate = [] }: { trains: boolean; accumulate?: readonly string[] },
): SectionPrograms {
  const plain = engine.compile(forwardProgram(section, { save: false }));
  const savesNothing = Object.keys(section.saved).length === 0;
  return {
    plain,
    saving: savesNothing ? plain : engine.compile(forwardProgram(section, { save: true })),
    backward: trains ? engine.compile(backwardProgram(section, { accumulate })) : undefined,
  };
}

/**
 * Runs a section's backward program, its parameters' gradients accumulating in place.
 *
 * @param outputs memory for other results
 */
export async function runBackward(
  section: ModelSection,
  program: Executable,
  { parameters, gradients, layer }: { parameters: ParameterValues; gradients: Parameters; layer: number },
  inputs: Readonly<Record<string, FloatValue>>,
  outputs: Readonly<Record<string, FloatValue>> = {},
): Promise<Record<string, FloatValue>> {
  const totals = Object.fromEntries(
    Object.keys(section.parameters).map((name) => [gradientName(name), gradients.get(section.names[name]!(layer))!]),
  );
  return program.run({ ...inputs, ...parametersOf(section, parameters, layer), ...totals }, { ...totals, ...outputs });
}
