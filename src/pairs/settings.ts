import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { GenerateOptions } from "../generate/generate.ts";
import type { ModelFolder } from "../storage/folder.ts";
import type { JournalSettings } from "./journal.ts";
import { publicScorerName, scorerTag } from "./secrets.ts";

/**
 * The inputs of answers and scores: the model, told by its files' sizes and times, the prompts, the
 * options of sampling, the scorer.
 */
export async function journalSettings(
  folder: ModelFolder,
  texts: readonly string[],
  scorer: string,
  options: GenerateOptions,
): Promise<JournalSettings> {
  const { samples, maxNewTokens, temperature, topK, topP, seed, stop, batchSize } = options;
  const files = new Set(Array.from(folder.parameters.values(), ({ file }) => file));
  const model = await Promise.all(
    Array.from(files, async (file) => {
      const { size, mtimeMs } = await stat(file);
      return { file: basename(file), size, modified: mtimeMs };
    }),
  );
  return {
    model,
    // The tensors alone do not say how much an adapter adds.
    ...(folder.lora && { adapter: folder.lora }),
    prompts: texts.length,
    promptsHash: createHash("sha256").update(JSON.stringify(texts)).digest("hex"),
    scorer: publicScorerName(scorer),
    scorerTag: scorerTag(scorer),
    ...{ samples, maxNewTokens, temperature, topK, topP, seed, stop, batchSize },
  };
}
