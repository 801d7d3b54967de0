import { type FileHandle, open } from "node:fs/promises";
import { UserError } from "../errors.ts";
import { asUserError, writeFileAtomic } from "../files/file-system.ts";
import * as formats from "../number-formats.ts";
import { explainBeginning } from "./foreign-files.ts";
import * as header from "./safetensors-header.ts";

/**
 * A safetensors file whose header was read and checked. It holds no open file; the data is read
 * when asked for.
 */
export interface SafetensorsFile extends header.SafetensorsHeader {
  file: string;
}

/** A tensor to store; `data` has the product of `shape` numbers, in row-major order. */
export interface NamedTensor {
  name: string;
  shape: readonly number[];
  data: formats.TensorData;
}

/**
 * A tensor that need not fit into memory: the bytes of its numbers come in pieces of any size while
 * it is written.
 */
export interface StreamedTensor {
  name: string;
  shape: readonly number[];
  dtype: formats.Dtype;
  pieces: AsyncIterable<Uint8Array>;
}

/**
 * Large enough for the disk's full speed, small enough to convert and check while still in the
 * processor's cache.
 */
const pieceBytes = 4 << 20;

/**
 * Opens a safetensors file: reads its header and checks it against the format and the file's size.
 *
 * @throws UserError if it cannot be read, is cut off or is not a safetensors file.
 */
export async function openSafetensors(file: string): Promise<SafetensorsFile> {
  return withFile(file, async (handle) => {
    const fileBytes = (await handle.stat()).size;
    const start = Buffer.alloc(Math.min(header.lengthBytes, fileBytes));
    await readFully(handle, start, 0, file);
    const headerBytes = start.length < header.lengthBytes ? Number.NaN : Number(start.readBigUInt64LE());
    if (!(headerBytes >= 2 && headerBytes <= header.longestHeader && header.lengthBytes + headerBytes <= fileBytes)) {
      const foreign = explainBeginning(file, start.toString("latin1"));
      if (foreign) throw foreign;
      const hint = "copy or download it again";
      throw new UserError(`not a safetensors file, or cut off in its header (${fileBytes} bytes)`, { file, hint });
    }
    const text = Buffer.alloc(headerBytes);
    await readFully(handle, text, header.lengthBytes, file);
    return { file, ...header.parseHeader(text.toString("utf8"), headerBytes, fileBytes, file) };
  });
}

/**
 * Reads a tensor of floats as float32, in row-major order.
 *
 * @param into where to put it, as long as the tensor has numbers; a new array if absent
 * @throws UserError if it is not there, holds no floats (F32, F16, BF16, F64), or holds a NaN or an
 * infinity.
 */
export async function readTensor(file: SafetensorsFile, name: string, into?: Float32Array): Promise<Float32Array> {
  const { dtype, shape, offset } = find(file, name);
  const place = { file: file.file, field: name };
  if (!formats.isFloatDtype(dtype)) throw new UserError(`holds ${dtype} numbers, not floats`, place);
  const count = header.elementCount(shape);
  const values = into ?? new Float32Array(count);
  if (values.length !== count) throw new RangeError(`${name} has ${count} numbers, its destination ${values.length}`);
  const size = formats.dtypeBytes(dtype);
  const pieceLength = pieceBytes / size;
  const stored = dtype === "F32" ? undefined : formats.allocate(dtype, Math.min(count, pieceLength));
  await withFile(file.file, async (handle) => {
    for (let start = 0; start < count; start += pieceLength) {
      const piece = values.subarray(start, start + pieceLength);
      const source = stored?.subarray(0, piece.length) ?? piece;
      await readFully(handle, formats.bytesOf(source), offset + start * size, file.file);
      if (stored) formats.toFloat32(dtype, source, piece);
      const wrong = formats.firstNonFinite(piece);
      if (wrong >= 0) throw new UserError(`${piece[wrong]} at index ${start + wrong} of [${shape}] as float32`, place);
    }
  });
  return values;
}

/**
 * Reads a tensor of any dtype as it is stored, without checking its numbers: 16-bit floats as bit
 * patterns in a Uint16Array, booleans and 8-bit floats as bytes.
 *
 * @param range which of its numbers, counted in row-major order and without that at `end`; all if
 * absent
 * @throws UserError if it is not there or the file cannot be read.
 */
export async function readStored(
  file: SafetensorsFile,
  name: string,
  range: { start?: number; end?: number } = {},
): Promise<formats.TensorData> {
  const { dtype, shape, offset } = find(file, name);
  const count = header.elementCount(shape);
  const { start = 0, end = count } = range;
  if (!(start >= 0 && start <= end && end <= count)) throw new RangeError(`${name} has no numbers ${start} to ${end}`);
  const data = formats.allocate(dtype, end - start);
  const position = offset + start * formats.dtypeBytes(dtype);
  await withFile(file.file, (handle) => readFully(handle, formats.bytesOf(data), position, file.file));
  return data;
}

/**
 * Writes tensors to a safetensors file, whole or not at all. Wider dtypes come first, so that all
 * data is aligned to its dtype; otherwise the order is kept.
 *
 * @param options.metadata free-form text; without it what Hugging Face writes, `{ format: "pt" }`
 * @param options.dtype how arrays of floats are stored, rounded to nearest even; without it each
 * array keeps its format
 * @throws UserError where the file system refuses.
 */
export async function writeSafetensors(
  file: string,
  tensors: Iterable<NamedTensor | StreamedTensor>,
  options: { metadata?: Record<string, string>; dtype?: "float32" | "bfloat16" } = {},
): Promise<void> {
  const { metadata = { format: "pt" }, dtype: floats } = options;
  const entries = Array.from(tensors, (tensor) => {
    const { name, shape } = tensor;
    const { dtype, pieces } = "data" in tensor ? storedForm(tensor.data, floats) : tensor;
    return { name, shape, dtype, pieces, bytes: header.elementCount(shape) * formats.dtypeBytes(dtype) };
  }).sort((a, b) => formats.dtypeBytes(b.dtype) - formats.dtypeBytes(a.dtype));
  if (new Set(entries.map(({ name }) => name)).size < entries.length) throw new Error("two tensors have one name");
  await writeFileAtomic(file, async (handle) => {
    await writeFully(handle, header.formatHeader(entries, metadata));
    for (const { name, shape, dtype, pieces, bytes } of entries) {
      let written = 0;
      for await (const piece of pieces) {
        await writeFully(handle, piece);
        written += piece.length;
      }
      if (written !== bytes) throw new RangeError(`${name}: ${dtype} [${shape}] takes ${bytes} bytes, not ${written}`);
    }
  });
}

function find(file: SafetensorsFile, name: string): header.TensorEntry {
  const entry = file.tensors.get(name);
  if (!entry) throw new UserError("no such tensor", { file: file.file, field: name });
  return entry;
}

async function withFile<T>(file: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "r");
    return await use(handle);
  } catch (error) {
    throw asUserError(error, file, "cannot read");
  } finally {
    await handle?.close();
  }
}

/** Fills `bytes` from `position` on; one call of the system reads less than 2 GiB. */
async function readFully(handle: FileHandle, bytes: Uint8Array, position: number, file: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, 1 << 30);
    const { bytesRead } = await handle.read(bytes, done, length, position + done);
    if (bytesRead === 0) throw new UserError("the file became shorter while it was read", { file });
    done += bytesRead;
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, Math.min(bytes.length - done, 1 << 30))).bytesWritten;
  }
}

/**
 * The number format in which an array is stored, and its bytes; a piece is good until the next is
 * asked for.
 */
function storedForm(
  data: formats.TensorData,
  floats: "float32" | "bfloat16" | undefined,
): { dtype: formats.Dtype; pieces: Iterable<Uint8Array> } {
  if (floats && data instanceof Float64Array) return storedForm(Float32Array.from(data), floats);
  if (floats === "bfloat16" && data instanceof Float32Array) return { dtype: "BF16", pieces: roundedPieces(data) };
  return { dtype: formats.dtypeOf(data), pieces: [formats.bytesOf(data)] };
}

/**
 * The bytes of float32 numbers stored as BF16, rounded to nearest even; a piece is good until the
 * next is asked for.
 */
export function* roundedPieces(values: Float32Array): Generator<Uint8Array> {
  const rounded = new Uint16Array(Math.min(values.length, pieceBytes / 2));
  for (let start = 0; start < values.length; start += rounded.length) {
    const piece = values.subarray(start, start + rounded.length);
    formats.toBfloat16(piece, rounded);
    yield formats.bytesOf(rounded.subarray(0, piece.length));
  }
}
