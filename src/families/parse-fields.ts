import { z } from "zod";
import { UserError } from "../errors.ts";

/** Parses with a schema; issues become a UserError that names the key. */
export function parseFields<Schema extends z.ZodType>(schema: Schema, json: unknown, file: string): z.output<Schema> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new UserError(message, { file, field: path.join("."), cause: result.error });
}

/** Parses the value of a field; issues within it carry the whole path. */
export function parseField<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  { file, field }: { file: string; field: string },
): z.output<Schema> {
  return parseFields(z.object({ [field]: schema }), { [field]: value }, file)[field] as z.output<Schema>;
}
