import type { Objective } from "../objectives/objective.ts";
import { estimateMemory, type MemoryEstimate, type MemorySettings } from "../train/memory.ts";
import type { ModelFindings } from "./inspect.ts";

/** The part of the model that trains, and an estimate of the memory that it takes. */
export interface TrainingChoice {
  readonly what: "whole model" | "new adapter" | "stored adapter";
  readonly memory: MemoryEstimate;
  /** The bytes that training takes: of the whole model, and of an adapter. */
  readonly bytes: { readonly whole: number; readonly adapter: number };
}

/**
 * The whole model trains where the machine's memory is enough for that, and an adapter on it
 * otherwise. An adapter that is there goes on.
 */
export function chooseTraining(
  { parameters, configuration, adapter }: Pick<ModelFindings, "parameters" | "configuration" | "adapter">,
  objective: Objective,
  settings: MemorySettings,
  machineBytes: number,
): TrainingChoice {
  const whole = estimateMemory({ parameters, configuration }, objective, settings);
  const adapted = estimateMemory({ parameters, configuration, adapter }, objective, settings);
  const bytes = { whole: whole.total, adapter: adapted.total };
  if (adapter.base !== undefined) return { what: "stored adapter", memory: adapted, bytes };
  // On a tiny model an adapter can be larger than the model itself.
  const needed = whole.total > machineBytes && adapted.total < whole.total;
  return needed ? { what: "new adapter", memory: adapted, bytes } : { what: "whole model", memory: whole, bytes };
}
