import { copyFile, mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Message } from "../../tokens/chat-template.ts";

const golden = fileURLToPath(new URL("../../../../test/golden/chat-templates/", import.meta.url));

/** A conversation under a template, with what transformers makes of it; see `make.py` there. */
export interface GoldenCase {
  readonly template: string;
  readonly name: string;
  readonly eos: string;
  readonly prompt: Message[];
  readonly answer: Message[];
  readonly tools?: unknown[];
  readonly variables?: Record<string, unknown>;
  /** Of the prompt and of the whole. */
  readonly texts?: [string, string];
  readonly ids?: [number[], number[]];
  readonly error?: string;
}

export async function goldenCases(): Promise<GoldenCase[]> {
  return JSON.parse(await readFile(join(golden, "golden.json"), "utf8"));
}

export function templateText(name: string): Promise<string> {
  return readFile(join(golden, `${name}.jinja`), "utf8");
}

/** A new folder with the tokenizer of the golden cases, and further files by name. */
export async function tokenizerFolder(
  files: Readonly<Record<string, string>> = {},
  config: object = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-chat-"));
  await copyFile(join(golden, "tokenizer.json"), join(folder, "tokenizer.json"));
  const tokens = { bos_token: "<|begin_of_text|>", eos_token: "<|im_end|>" };
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify({ ...tokens, ...config }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}
