import { UserError } from "../errors.ts";
import { parseJson } from "../files/json.ts";
import { type Dtype, dtypeBytes, isDtype } from "../number-formats.ts";
import { quoted } from "../one-line.ts";

/**
 * The place of a tensor in its file. `offset` counts from the start of the file and need not be
 * aligned.
 */
export interface TensorEntry {
  dtype: Dtype;
  shape: readonly number[];
  offset: number;
  bytes: number;
}

/** The content of a header: the tensors in the order of their data, and the free-form metadata. */
export interface SafetensorsHeader {
  tensors: Map<string, TensorEntry>;
  metadata: Record<string, string>;
}

/** Bytes before the JSON text: its length, little endian. */
export const lengthBytes = 8;

/**
 * The limit of the reference implementation; a longer header means that the file is something else.
 */
export const longestHeader = 100_000_000;

/**
 * More than any model has, so that a header of a million empty tensors takes neither memory nor
 * time.
 */
const mostTensors = 250_000;

/** The number of elements in a tensor of this shape. A scalar, shape [], holds one. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/**
 * Reads the JSON text of a header.
 *
 * @param text the JSON text, as long as the file's first 8 bytes say in bytes: `headerBytes`
 * @throws UserError for anything the format forbids: unknown dtypes, sizes that do not fit the
 * shape, tensors that overlap or leave holes, data shorter or longer than the file.
 */
export function parseHeader(text: string, headerBytes: number, fileBytes: number, file: string): SafetensorsHeader {
  const json = parseJson(text, file, { mostKeys: mostTensors + 1 });
  if (!isRecord(json)) throw new UserError("the safetensors header is not a JSON object", { file });
  const { __metadata__: metadata = {}, ...entries } = json;
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== "string")) {
    throw new UserError("must map strings to strings", { file, field: "__metadata__" });
  }
  const start = lengthBytes + headerBytes;
  const tensors = Object.entries(entries)
    .map(([name, entry]) => [name, parseEntry(entry, start, { file, field: name })] as const)
    .sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes);
  checkData(tensors, start, fileBytes, file);
  return { tensors: new Map(tensors), metadata: metadata as Record<string, string> };
}

/**
 * The bytes of a header with its length in front, padded with spaces so that the data is aligned to
 * 8 bytes.
 */
export function formatHeader(
  tensors: Iterable<{ name: string; dtype: Dtype; shape: readonly number[]; bytes: number }>,
  metadata: Record<string, string>,
): Uint8Array {
  const entries: [string, unknown][] = [["__metadata__", metadata]];
  let end = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    entries.push([name, { dtype, shape, data_offsets: [end, end + bytes] }]);
    end += bytes;
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const padded = Buffer.alloc(lengthBytes + Math.ceil(json.length / 8) * 8, " ");
  padded.writeBigUInt64LE(BigInt(padded.length - lengthBytes));
  json.copy(padded, lengthBytes);
  return padded;
}

function parseEntry(entry: unknown, start: number, place: { file: string; field: string }): TensorEntry {
  if (!isRecord(entry)) throw new UserError("the tensor has no dtype, shape and data_offsets", place);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !isDtype(dtype)) {
    throw new UserError(`unknown dtype ${quoted(dtype)}`, place);
  }
  if (!isCounts(shape)) throw new UserError(`shape must be whole numbers, found ${quoted(shape)}`, place);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw new UserError(`data_offsets must be [begin, end], found ${quoted(offsets)}`, place);
  }
  const bytes = offsets[1]! - offsets[0]!;
  const expected = elementCount(shape) * dtypeBytes(dtype);
  if (bytes !== expected) {
    throw new UserError(`${dtype} [${shape}] takes ${expected} bytes, but its data has ${bytes}`, place);
  }
  return { dtype, shape, offset: start + offsets[0]!, bytes };
}

/**
 * The data must follow the header without overlaps, holes or a rest, as the reference
 * implementation demands.
 */
function checkData(tensors: (readonly [string, TensorEntry])[], start: number, fileBytes: number, file: string): void {
  let end = start;
  for (const [field, { offset, bytes }] of tensors) {
    if (offset < end) throw new UserError("its data overlaps that of another tensor", { file, field });
    if (offset > end) throw new UserError(`${offset - end} bytes before its data belong to no tensor`, { file, field });
    end = offset + bytes;
  }
  if (fileBytes < end) {
    const problem = `the file is cut off: ${fileBytes} bytes where its header describes ${end}`;
    throw new UserError(problem, { file, hint: "copy or download it again" });
  }
  if (fileBytes > end)
    throw new UserError(`${fileBytes - end} bytes after the last tensor belong to no tensor`, { file });
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
