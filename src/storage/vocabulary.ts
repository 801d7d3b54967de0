import { join } from "node:path";
import { readObject } from "../data/tokens/json-file.ts";
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { fileNames } from "./model-path.ts";

/**
 * Compares what token ids mean to two models by the tokenizers in their folders: they must agree on
 * every id that both have. An id that is an added token in both may have two names, since models of
 * one family rename their reserved ones. Merges and normalizers are not compared: only ids pass
 * from one model to the other. Without a tokenizer in one of the folders nothing can be said.
 *
 * @returns how the other folder's ids differ, in words; undefined if they do not
 * @throws UserError for a tokenizer.json that cannot be read.
 */
export async function vocabularyDifference(own: string, other: string): Promise<string | undefined> {
  if (own === other) return undefined;
  const [mine, theirs] = [await readPieces(own), await readPieces(other)];
  if (!mine || !theirs) return undefined;
  for (const [id, piece] of theirs.pieces) {
    const expected = mine.pieces.get(id);
    if (expected === undefined || expected === piece || (mine.added.has(id) && theirs.added.has(id))) continue;
    return `its token ${id} is ${quoted(piece)}, not ${quoted(expected)}`;
  }
  return undefined;
}

/** The text of each id, added tokens included, and the ids of those. */
interface Pieces {
  readonly pieces: ReadonlyMap<number, string>;
  readonly added: ReadonlySet<number>;
}

async function readPieces(folder: string): Promise<Pieces | undefined> {
  const file = join(folder, fileNames.tokenizer);
  const definition = await readObject(file);
  if (!definition) return undefined;
  const { vocab } = (definition.model ?? {}) as { vocab?: unknown };
  if (typeof vocab !== "object" || vocab === null) {
    throw new UserError("holds no vocabulary", { file, field: "model.vocab" });
  }
  // Unigram lists pieces with their scores, in the order of ids; the others map pieces to ids.
  const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(vocab)
    ? vocab.map((entry, id) => [id, Array.isArray(entry) ? entry[0] : undefined])
    : Object.entries(vocab).map(([piece, id]) => [id, piece]);
  const added = (Array.isArray(definition.added_tokens) ? definition.added_tokens : []).flatMap((token) => {
    const { id, content } = (token ?? {}) as { id?: unknown; content?: unknown };
    return [[id, content] as const];
  });
  return {
    pieces: new Map([...entries, ...added] as [number, string][]),
    added: new Set(added.map(([id]) => id as number)),
  };
}
