import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { UserError } from "../../errors.ts";
import { readTextFile } from "../../files/file-system.ts";
import type { TemplateSources } from "./chat-template.ts";
import type { JsonObject } from "./definition.ts";
import { readObject } from "./json-file.ts";

/** The longest template in bytes; published ones have at most 30,000. */
const longestTemplate = 1_000_000;
const furtherTemplates = "additional_chat_templates";

/**
 * The chat templates of a model folder. As in transformers, `chat_template.jinja` and the files of
 * `additional_chat_templates` hold, or else `chat_template` of `tokenizer_config.json`: a text, or
 * a list of `{name, template}`. Last comes `chat_template.json`, as older processors have it.
 *
 * @param config the folder's `tokenizer_config.json`
 * @returns none where the folder holds none
 * @throws UserError for a template that is no text.
 */
export async function readChatTemplates(folder: string, config: JsonObject): Promise<TemplateSources> {
  const files = await templateFiles(folder);
  if (files.size > 0) {
    const read = async ([name, file]: [string, string]) => [name, { file, text: await textIn(file) }] as const;
    return new Map(await Promise.all([...files].map(read)));
  }
  const configFile = join(folder, "tokenizer_config.json");
  const listed = templatesIn(config, configFile);
  if (listed.size > 0) return listed;
  const processorFile = join(folder, "chat_template.json");
  return templatesIn((await readObject(processorFile)) ?? {}, processorFile);
}

/** Files that hold a template each, by the name of the template. */
async function templateFiles(folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const single = join(folder, "chat_template.jinja");
  if (existsSync(single)) files.set("default", single);
  const further = join(folder, furtherTemplates);
  if (!existsSync(further)) return files;
  for (const name of (await readdir(further)).sort()) {
    if (name.endsWith(".jinja")) files.set(basename(name, ".jinja"), join(further, name));
  }
  return files;
}

async function textIn(file: string): Promise<string> {
  return (await readTextFile(file, longestTemplate)).replaceAll("\r\n", "\n");
}

function templatesIn({ chat_template: given }: JsonObject, file: string): TemplateSources {
  const field = "chat_template";
  if (given === undefined || given === null) return new Map();
  if (typeof given === "string") return new Map([["default", { file, text: given }]]);
  if (!Array.isArray(given)) throw new UserError("must be a text, or a list of {name, template}", { file, field });
  return new Map(
    given.map((entry, index) => {
      const { name, template } = (entry ?? {}) as { name?: unknown; template?: unknown };
      if (typeof name === "string" && typeof template === "string") return [name, { file, text: template }] as const;
      throw new UserError("must be {name, template}, two texts", { file, field: `${field}[${index}]` });
    }),
  );
}
