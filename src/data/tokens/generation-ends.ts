import { join } from "node:path";
import { UserError } from "../../errors.ts";
import { quoted } from "../../one-line.ts";
import { readObject } from "./json-file.ts";

/**
 * The tokens that end an answer by a folder's `generation_config.json`; none where there is no such
 * file.
 */
export async function generationEnds(folder: string): Promise<number[]> {
  const file = join(folder, "generation_config.json");
  const listed = (await readObject(file))?.eos_token_id ?? [];
  return [listed].flat().map((id) => {
    if (typeof id === "number" && Number.isInteger(id) && id >= 0) return id;
    throw new UserError(`must be the id of a token, or a list of ids, found ${quoted(id)}`, {
      file,
      field: "eos_token_id",
    });
  });
}
