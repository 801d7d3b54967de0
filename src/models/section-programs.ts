import type { Engine, Executable } from "../engine/engine.ts";
import { backwardProgram, forwardProgram, type Section } from "../graph/section.ts";
import type { Block } from "./architecture.ts";

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
