import { recipeSchema } from "../recipe/schema.ts";
import type { TrainedModel } from "../runs/starting-point.ts";
import { adapterOf } from "../runs/starting-point.ts";
import type { ModelFolder } from "../storage/folder.ts";

/** `lora` as a recipe proposes it; the defaults, written out to be changed. */
export const proposedLora = { rank: 16, alpha: 32 } as const;

/**
 * The adapter that can train on a model: the one that its folder holds, or a new one as a recipe
 * proposes it.
 */
export interface AdapterFindings extends NonNullable<TrainedModel["adapter"]> {
  /**
   * The folder of the model below the adapter, where it is there already; training goes on with it,
   * whether the recipe has `lora` or not.
   */
  readonly base: string | undefined;
}

/** Finds out what training an adapter would be, from the headers of the weights alone. */
export function inspectAdapter(folder: ModelFolder): AdapterFindings {
  const lora = recipeSchema.shape.lora.unwrap().parse(proposedLora);
  const { parameters, frozenBytes } = adapterOf({ seed: 0, lora }, folder)!;
  return { base: folder.base?.path, parameters, frozenBytes };
}
