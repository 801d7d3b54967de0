import { z } from "zod";
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { count } from "./fields.ts";

const kinds = ["full_attention", "sliding_attention"] as const;

/** The keys of config.json that give each layer its window. */
export const windowFields = {
  // How many positions back a token sees, itself included.
  sliding_window: count.nullish(),
  layer_types: z
    .array(
      z.enum(kinds, {
        error: ({ input }) => `${quoted(input)} is not supported, only ${kinds.join(" and ")}`,
      }),
    )
    .nullish(),
};

/**
 * The window of each layer; undefined for a layer that sees all positions.
 *
 * @param isSliding the layers that have a window where `layer_types` does not say
 * @throws UserError for a list of other length, or without a window for layers that have one.
 */
export function windowsOf(
  json: { num_hidden_layers: number; layer_types?: readonly string[] | null | undefined },
  window: number | null | undefined,
  isSliding: (layer: number) => boolean,
  file: string,
): (number | undefined)[] {
  const { num_hidden_layers: layers, layer_types: types } = json;
  if (types && types.length !== layers) {
    const problem = `has entries for ${types.length} layers, and there are ${layers}`;
    throw new UserError(problem, { file, field: "layer_types" });
  }
  return Array.from({ length: layers }, (_, layer) => {
    if (types ? types[layer] === "full_attention" : !isSliding(layer)) return undefined;
    if (window) return window;
    const problem = `is missing or switched off, but layer ${layer} is a "sliding_attention"`;
    throw new UserError(problem, { file, field: "sliding_window" });
  });
}
