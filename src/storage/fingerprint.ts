import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { asUserError } from "../files/file-system.ts";
import { fileNames, type ModelFolder } from "./folder.ts";

/**
 * Identifies a model by all that its folder says of it: the configuration and the bytes of the
 * parameters, and for an adapter what its matrices are for.
 */
export async function modelFingerprint({ configuration, parameters, lora, base }: ModelFolder): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(configuration));
  if (lora) {
    const { rank, alpha, rslora, targetModules } = lora;
    hash.update(JSON.stringify({ rank, alpha, rslora, targetModules }));
  }
  // The base first, wherever the two folders are.
  const files = new Set([...(base ? filesOf(base) : []), ...filesOf({ parameters })]);
  for (const file of files) {
    await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), async (pieces) => {
      for await (const piece of pieces) hash.update(piece);
    }).catch((error) => {
      throw asUserError(error, file, "cannot read");
    });
  }
  return hash.digest("hex");
}

function filesOf({ parameters }: Pick<ModelFolder, "parameters">): string[] {
  return [...new Set(Array.from(parameters.values(), ({ file }) => file))].sort();
}

/** Identifies the tokenizer of a folder. */
export async function tokenizerFingerprint(folder: string): Promise<string> {
  const file = join(folder, fileNames.tokenizer);
  const content = await readFile(file).catch((error) => {
    throw asUserError(error, file, "cannot read");
  });
  return createHash("sha256").update(content).digest("hex");
}
