import { existsSync } from "node:fs";
import { UserError } from "../../errors.ts";
import { readJson } from "../../files/json.ts";
import type { JsonObject } from "./definition.ts";

/**
 * The object in a JSON file; undefined if there is no such file.
 *
 * @throws UserError for anything else.
 */
export async function readObject(file: string): Promise<JsonObject | undefined> {
  if (!existsSync(file)) return undefined;
  const value = await readJson(file, { uniqueKeys: false });
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new UserError("must hold a JSON object", { file });
}
