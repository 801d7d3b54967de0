import { existsSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "./definition.ts";

/** Files that hold nothing but a chat template. */
const templateFiles = ["chat_template.jinja", "chat_template.json"];

/**
 * What to know where a model expects its prompts in a chat template.
 *
 * @param config the folder's `tokenizer_config.json`
 * @returns undefined where the folder holds no template
 */
export function chatTemplateWarning(folder: string, config: JsonObject): string | undefined {
  const inConfig = typeof config.chat_template === "string" || Array.isArray(config.chat_template);
  const name = inConfig ? "tokenizer_config.json" : templateFiles.find((file) => existsSync(join(folder, file)));
  if (name === undefined) return undefined;
  return (
    `${join(folder, name)}: the chat template is not applied: prompt and answer are joined as plain text; ` +
    "write the template's text into the prompts where the model needs it"
  );
}
