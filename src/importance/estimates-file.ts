import { UserError } from "../errors.ts";
import { writeFileAtomic } from "../files/file-system.ts";
import { firstNonFinite, type TensorData } from "../number-formats.ts";
import { openSafetensors, readStored, type SafetensorsFile } from "../storage/safetensors.ts";
import type { PairEstimate } from "./estimate.ts";

/** The inputs of estimates, as fingerprints: both models, the tokenizer, the template, the data. */
export type EstimatesIdentity = Readonly<Record<string, string>>;

/** A file of estimates that was checked but for its numbers, which are read when asked for. */
export interface EstimatesFile {
  readonly file: string;
  readonly identity: EstimatesIdentity;
  readonly pairs: number;
  readonly stored: SafetensorsFile;
  /**
   * The beginnings of each pair's tokens in the flat tensors of a part, then the end of the last
   * pair's.
   */
  readonly offsets: Readonly<Record<Part, Float64Array>>;
}

/** The file's own metadata, beside the identity. */
export const metadata = { format: "tokenwise token estimates", version: "1" };

export const sides = ["chosen", "rejected"] as const;
export const parts = ["prompt", ...sides] as const;
export type Part = (typeof parts)[number];

/** A flat tensor: one kind of number, for all pairs one after the other. */
export interface Column {
  readonly name: string;
  readonly part: Part;
  readonly dtype: "I32" | "F32";
  readonly of: (pair: PairEstimate) => Int32Array | Float32Array;
}

/** All flat tensors, in the order in which `pairOf` takes a pair's share of them. */
export const columns: readonly Column[] = [
  { name: "prompt.tokens", part: "prompt", dtype: "I32", of: (pair) => pair.prompt },
  ...sides.flatMap((part): Column[] => [
    { name: `${part}.tokens`, part, dtype: "I32", of: (pair) => pair[part].tokens },
    { name: `${part}.positive_logps`, part, dtype: "F32", of: (pair) => pair[part].positiveLogp },
    { name: `${part}.negative_logps`, part, dtype: "F32", of: (pair) => pair[part].negativeLogp },
  ]),
];

/** The number of tokens in a part of a pair. */
export function lengthOf(pair: PairEstimate, part: Part): number {
  return part === "prompt" ? pair.prompt.length : pair[part].tokens.length;
}

/** The pair whose share of each column this is. */
export function pairOf(shares: readonly TensorData[]): PairEstimate {
  type Response = [Int32Array, Float32Array, Float32Array];
  const [prompt, ...rest] = shares as [Int32Array, ...Response, ...Response];
  const [chosenTokens, chosenPositive, chosenNegative, rejectedTokens, rejectedPositive, rejectedNegative] = rest;
  return {
    prompt,
    chosen: { tokens: chosenTokens, positiveLogp: chosenPositive, negativeLogp: chosenNegative },
    rejected: { tokens: rejectedTokens, positiveLogp: rejectedPositive, negativeLogp: rejectedNegative },
  };
}

/**
 * @throws UserError naming pair (from 1), side, model and token where a log-probability is NaN or
 * infinite.
 */
export function checkLogProbabilities(pair: PairEstimate, index: number, file: string): void {
  for (const side of sides) {
    const { positiveLogp: positive, negativeLogp: negative } = pair[side];
    for (const [model, values] of Object.entries({ positive, negative })) {
      const wrong = firstNonFinite(values);
      if (wrong < 0) continue;
      const problem = `the ${model} model gives token ${wrong + 1} the log-probability ${values[wrong]}`;
      const hint = "its training may have diverged: look at its losses, then estimate again";
      throw new UserError(problem, { file, field: `pair ${index + 1}, ${side}`, hint });
    }
  }
}

/**
 * Opens a file of estimates: checks its header and where each pair begins.
 *
 * @throws UserError if it cannot be read, is another kind of file, or does not fit together.
 */
export async function openEstimates(file: string): Promise<EstimatesFile> {
  const stored = await openSafetensors(file);
  const { format, version, ...identity } = stored.metadata;
  if (format !== metadata.format) {
    throw new UserError("holds no token estimates; it may be the weights of a model", {
      file,
      hint: "give a file that `tokenwise weigh` wrote",
    });
  }
  if (version !== metadata.version) {
    throw new UserError(`has version ${version} of the format, only ${metadata.version} is known`, {
      file,
      hint: "read it with the release of tokenwise that wrote it, or estimate again",
    });
  }
  const [prompt, chosen, rejected] = [
    await readOffsets(stored, "prompt"),
    await readOffsets(stored, "chosen"),
    await readOffsets(stored, "rejected"),
  ];
  if (prompt.length !== chosen.length || prompt.length !== rejected.length) {
    const counts = [prompt, chosen, rejected].map(({ length }) => length - 1);
    throw damaged(`prompt, chosen and rejected are of ${counts.join(", ")} pairs`, file);
  }
  return { file, identity, pairs: prompt.length - 1, stored, offsets: { prompt, chosen, rejected } };
}

/**
 * Reads pairs in order, from `start` (counted from 0) to before `end`; all if absent. Holds a
 * thousand at a time.
 *
 * @throws UserError if the file cannot be read, or naming the pair and the side of a NaN or an
 * infinity.
 */
export async function* readEstimates(
  estimates: EstimatesFile,
  range: { start?: number; end?: number } = {},
): AsyncGenerator<PairEstimate> {
  const { start = 0, end = estimates.pairs } = range;
  if (!(start >= 0 && start <= end && end <= estimates.pairs)) {
    throw new RangeError(`there are no pairs ${start} to ${end} among ${estimates.pairs}`);
  }
  for (let first = start; first < end; first += pairsAtOnce) {
    yield* readTogether(estimates, first, Math.min(first + pairsAtOnce, end));
  }
}

/**
 * Writes estimates as text for other tools, whole or not at all: a JSON object on a line for each
 * pair, its log-ratios log π⁺ − log π⁻ included.
 *
 * @throws UserError if one file cannot be read or the other not written, or for a NaN or an
 * infinity.
 */
export async function exportEstimates(estimates: EstimatesFile, file: string): Promise<void> {
  await writeFileAtomic(file, async (handle) => {
    for await (const pair of readEstimates(estimates)) await handle.writeFile(`${JSON.stringify(plain(pair))}\n`);
  });
}

/**
 * Enough that opening the file for each column costs nothing, few enough that long answers fit into
 * memory.
 */
const pairsAtOnce = 1024;

async function* readTogether(estimates: EstimatesFile, first: number, end: number): AsyncGenerator<PairEstimate> {
  const blocks: { data: TensorData; offsets: Float64Array }[] = [];
  for (const { name, part } of columns) {
    const offsets = estimates.offsets[part].subarray(first, end + 1);
    const data = await readStored(estimates.stored, name, { start: offsets[0]!, end: offsets.at(-1)! });
    blocks.push({ data, offsets });
  }
  for (let index = 0; index < end - first; index++) {
    // Copies, so that a pair that is kept does not keep all the others.
    const pair = pairOf(
      blocks.map(({ data, offsets }) => data.slice(offsets[index]! - offsets[0]!, offsets[index + 1]! - offsets[0]!)),
    );
    checkLogProbabilities(pair, first + index, estimates.file);
    yield pair;
  }
}

async function readOffsets(stored: SafetensorsFile, part: Part): Promise<Float64Array> {
  const name = `${part}.offsets`;
  const count = flatLength(stored, name, "I64");
  if (count < 2) throw damaged("holds no pair", stored.file, name);
  const offsets = Float64Array.from((await readStored(stored, name)) as BigInt64Array, Number);
  if (offsets[0] !== 0) throw damaged(`must begin with 0, not ${offsets[0]}`, stored.file, name);
  const empty = offsets.findIndex((offset, index) => index > 0 && !(offset > offsets[index - 1]!));
  if (empty > 0) throw damaged(`pair ${empty} ends at ${offsets[empty]}, not after its begin`, stored.file, name);
  for (const column of columns.filter((column) => column.part === part)) {
    const length = flatLength(stored, column.name, column.dtype);
    if (length === offsets.at(-1)) continue;
    throw damaged(`holds ${length} numbers where ${name} ends at ${offsets.at(-1)}`, stored.file, column.name);
  }
  return offsets;
}

/** The length of a tensor, which must be there with this dtype and one dimension. */
function flatLength(stored: SafetensorsFile, name: string, dtype: string): number {
  const entry = stored.tensors.get(name);
  if (!entry) throw damaged("is missing", stored.file, name);
  if (entry.dtype === dtype && entry.shape.length === 1) return entry.shape[0]!;
  throw damaged(`must be ${dtype} of one dimension, not ${entry.dtype} [${entry.shape}]`, stored.file, name);
}

function damaged(problem: string, file: string, field?: string): UserError {
  const hint = "estimate again with `npx tokenwise weigh`";
  return new UserError(problem, field === undefined ? { file, hint } : { file, field, hint });
}

function plain({ prompt, chosen, rejected }: PairEstimate): object {
  const entries = Object.entries({ chosen, rejected }).flatMap(([side, { tokens, positiveLogp, negativeLogp }]) => [
    [`${side}_tokens`, Array.from(tokens)],
    [`${side}_log_ratios`, Array.from(positiveLogp, (value, index) => value - negativeLogp[index]!)],
    [`${side}_positive_logps`, Array.from(positiveLogp)],
    [`${side}_negative_logps`, Array.from(negativeLogp)],
  ]);
  return { prompt_tokens: Array.from(prompt), ...Object.fromEntries(entries) };
}
