/** What the config.json of most families has in common. */
import { z } from "zod";
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";

/** A size, from 1 on. */
export const count = z.int().positive();

const mostLayers = 10_000;

/** A count of layers. Some keys have an entry for each, so it is bounded before anything else. */
export const layerCount = count.max(mostLayers, {
  error: ({ input }) => `must be at most ${mostLayers}, found ${quoted(input)}`,
});

const tokenId = z.int().nonnegative();

/**
 * The special tokens of a config.json, with a class's defaults. A null means that there is none.
 */
export const tokenFields = ({ bos, eos }: { bos: number | null; eos: number | null }) => ({
  bos_token_id: tokenId.nullable().default(bos),
  eos_token_id: z
    .union([tokenId, z.array(tokenId)])
    .nullable()
    .default(eos),
});

/** A switch, with the value of a missing key or a null. */
export const flag = (absent: boolean) =>
  z
    .boolean()
    .nullish()
    .transform((value) => value ?? absent);

/** The special tokens as a configuration has them. */
export function tokensOf(json: { bos_token_id: number | null; eos_token_id: number | number[] | null }) {
  const { bos_token_id: bos, eos_token_id: eos } = json;
  return { bosTokenId: bos ?? undefined, eosTokenIds: eos === null ? [] : [eos].flat() };
}

/** What is wrong with a key that gives heads a width, in families that take it from the model's. */
export const onlyDivided = {
  values: [],
  problem: "heads of another width than the model's divided among them are not supported",
};

/**
 * The width of a head where the configuration does not say: that of the model divided among the
 * heads.
 *
 * @throws UserError if it cannot be divided.
 */
export function dividedAmong(
  { width, heads }: { width: number; heads: number },
  { file, field }: { file: string; field: string },
): number {
  if (width % heads === 0) return width / heads;
  throw new UserError(`${width} cannot be divided into ${heads} heads`, { file, field });
}
