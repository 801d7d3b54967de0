import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { replaceFolderAtomic } from "../files/file-system.ts";
import type { LoraSettings } from "../models/lora.ts";
import { formatAdapterConfiguration } from "./adapter-configuration.ts";
import { fileNames } from "./model-path.ts";
import { writeSafetensors } from "./safetensors.ts";
import { checkFinite, checkReplaceable, copyTokenizer, type FolderFiles } from "./save-folder.ts";

/** An adapter to save. */
export interface SavedAdapter {
  lora: LoraSettings;
  /** The folder of the model that the adapter is for; the adapter names it by its absolute path. */
  base: string;
  /** True if the layers' matrices are stored as [inputs, outputs]; not if absent. */
  transposed?: boolean;
  /** By the names of `adapterShapes`, with its shapes. */
  adapter: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  /**
   * The tokenizer's files, or the folder to copy them from; without it, the adapter is used with
   * that of its base.
   */
  tokenizerFrom?: string | FolderFiles;
  /** The number format; float32 if absent, which loads bit for bit as it was. */
  dtype?: "float32" | "bfloat16";
}

/**
 * Saves an adapter as PEFT does, whole or not at all. A model or adapter that is already there is
 * replaced.
 *
 * @throws UserError if a number is NaN or infinite, if the folder holds files that replacing it
 * would lose, or where the file system refuses.
 */
export async function saveAdapterFolder(path: string, saved: SavedAdapter): Promise<void> {
  const { lora, base, transposed = false, adapter, tokenizerFrom, dtype = "float32" } = saved;
  const tensors = Array.from(adapter, ([name, { shape, data }]) => ({ name, shape, data }));
  for (const { name, data } of tensors) checkFinite(data, { file: path, field: name });
  await checkReplaceable(path);
  await replaceFolderAtomic(path, async (folder) => {
    if (tokenizerFrom !== undefined) await copyTokenizer(tokenizerFrom, folder);
    await writeFile(
      join(folder, fileNames.adapterConfiguration),
      formatAdapterConfiguration(lora, { base: resolve(base), transposed }),
    );
    await writeSafetensors(join(folder, fileNames.adapterWeights), tensors, { dtype });
  });
}
