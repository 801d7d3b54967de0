import { generationEnds } from "../data/tokens/generation-ends.ts";
import { loadTokenizer } from "../data/tokens/load-tokenizer.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { ModelFolder } from "./folder.ts";

/**
 * The tokenizer of a model, with every token that ends its answers: those that its config.json, its
 * generation_config.json, and the tokenizer name.
 *
 * @param tokenizerFolder where it is not the model's own
 * @throws UserError for files that are missing or broken.
 */
export async function loadModelTokenizer(
  { path, base, configuration, tokenizerFolder: own }: ModelFolder,
  tokenizerFolder: string = own,
): Promise<Tokenizer> {
  const { bosTokenId, eosTokenIds } = configuration;
  const ends = [...eosTokenIds, ...(await generationEnds(path)), ...(base ? await generationEnds(base.path) : [])];
  return loadTokenizer(tokenizerFolder, { bosTokenId, eosTokenIds: ends });
}
