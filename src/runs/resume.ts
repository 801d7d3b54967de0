import type { TokenizedExample } from "../data/example.ts";
import { hashArrays, tokensOf } from "../data/fingerprint.ts";
import { UserError } from "../errors.ts";
import type { Objective } from "../objectives/objective.ts";
import { listCheckpoints, type Progress, readProgress } from "./checkpoint.ts";
import type { RunFolder } from "./run-folder.ts";

/** @throws UserError if the run has not written one. */
export async function newestCheckpoint(folder: RunFolder): Promise<string> {
  const newest = (await listCheckpoints(folder.checkpoints)).at(-1);
  if (!newest) {
    const hint = "start the run again, with `overwrite` instead of `resume`";
    throw new UserError("there is no checkpoint to resume from", { file: folder.checkpoints, hint });
  }
  return newest;
}

/**
 * The progress of a checkpoint's run.
 *
 * @param now what the run would begin with now
 * @throws UserError if that is not what it began with.
 */
export async function progressOfSame(checkpoint: string, now: Progress): Promise<Progress> {
  const progress = await readProgress(checkpoint);
  if (progress.data !== now.data) {
    throw new UserError("the training data or their weights have changed since the run began", {
      file: checkpoint,
      hint: "resume with the same data, or start a new run with another `output`",
    });
  }
  // Checkpoints of earlier versions do not tell.
  if (progress.frozen !== undefined && progress.frozen !== now.frozen) {
    throw new UserError("the model that the run began with, or its reference, has changed since", {
      file: checkpoint,
      hint: "put it back as it was, or start a new run with another `output`",
    });
  }
  return progress;
}

/**
 * @throws UserError if the numbers that a checkpoint keeps for an objective are not those of this
 * one.
 */
export function checkObjectiveState(
  checkpoint: string,
  { objective = {} }: Progress,
  { initialState }: Pick<Objective, "initialState">,
): void {
  const names = (state: object) => Object.keys(state).sort().join();
  if (names(objective) === names(initialState)) return;
  const hint = "resume with the objective that the run began with";
  throw new UserError("holds the state of another objective", { file: checkpoint, hint });
}

/**
 * Identifies the training examples, the constants given with them and their order, so that a run is
 * not continued on other data.
 */
export function fingerprintOf(examples: readonly TokenizedExample[]): string {
  const arrays = function* () {
    for (const example of examples) yield* [...tokensOf(example), ...Object.values(example.given ?? {}).flat()];
  };
  return hashArrays(arrays()).toString("hex");
}
