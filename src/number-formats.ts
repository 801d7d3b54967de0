/**
 * The arrays a tensor's stored numbers can be viewed as. 16-bit floats are their bit patterns,
 * booleans bytes.
 */
export type TensorData =
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/**
 * Each dtype that safetensors knows: the array that views it. Of two with the same array, the first
 * is what is written.
 */
const arrays = {
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
} as const;

/** A number format, by its name in safetensors files. */
export type Dtype = keyof typeof arrays;

/** The formats that load as float32 weights. */
export type FloatDtype = "F32" | "F16" | "BF16" | "F64";

/** True if `name` is a number format of safetensors that we know. */
export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(arrays, name);
}

/** True if numbers of this format load as float32 weights. */
export function isFloatDtype(dtype: Dtype): dtype is FloatDtype {
  return dtype === "F32" || dtype === "F16" || dtype === "BF16" || dtype === "F64";
}

/** Bytes per number. */
export function dtypeBytes(dtype: Dtype): number {
  return arrays[dtype].BYTES_PER_ELEMENT;
}

/** The format an array's numbers are stored in. */
export function dtypeOf(data: TensorData): Dtype {
  const names = Object.keys(arrays) as Dtype[];
  return names.find((name) => data instanceof arrays[name])!;
}

/** A zeroed array for `count` numbers of this format. */
export function allocate(dtype: Dtype, count: number): TensorData {
  return new arrays[dtype](count);
}

/** The bytes of an array, shared with it. */
export function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Converts numbers as they are stored (see `allocate`) to float32, into the start of `into`. */
export function toFloat32(dtype: FloatDtype, stored: TensorData, into: Float32Array): void {
  if (dtype === "F32" || dtype === "F64") {
    into.set(stored as Float32Array | Float64Array);
    return;
  }
  const halves = stored as Uint16Array;
  const bits = new Uint32Array(into.buffer, into.byteOffset, halves.length);
  if (dtype === "BF16") {
    for (let index = 0; index < halves.length; index++) bits[index] = halves[index]! << 16;
    return;
  }
  halfTable ??= makeHalfTable();
  const table = halfTable;
  for (let index = 0; index < halves.length; index++) bits[index] = table[halves[index]!]!;
}

/** Converts float32 to bfloat16 bit patterns, rounding to nearest, ties to even. NaN stays NaN. */
export function toBfloat16(values: Float32Array, into: Uint16Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let index = 0; index < bits.length; index++) {
    const pattern = bits[index]!;
    const notNumber = (pattern & 0x7fffffff) > 0x7f800000;
    into[index] = notNumber ? (pattern >>> 16) | 0x40 : (pattern + 0x7fff + ((pattern >>> 16) & 1)) >>> 16;
  }
}

/** The index of the first NaN or infinity, or -1. */
export function firstNonFinite(values: Float32Array): number {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const stride = 1 << 16;
  for (let start = 0; start < bits.length; start += stride) {
    const end = Math.min(start + stride, bits.length);
    if (signOfNonFinite(bits, start, end) >= 0) continue;
    return values.findIndex((value, index) => index >= start && !Number.isFinite(value));
  }
  return -1;
}

/** The index of the first NaN or infinity among 16-bit floats, or -1. */
export function firstNonFiniteHalf(bits: Uint16Array, dtype: "F16" | "BF16"): number {
  const exponent = dtype === "F16" ? 0x7c00 : 0x7f80;
  return bits.findIndex((pattern) => (pattern & exponent) === exponent);
}

/**
 * Negative if an exponent is all ones, which adding one to it carries into the sign bit. Four
 * chains keep the CPU busy.
 */
function signOfNonFinite(bits: Int32Array, start: number, end: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let index = start;
  for (; index + 3 < end; index += 4) {
    a |= ((bits[index]! & 0x7fffffff) + 0x00800000) | 0;
    b |= ((bits[index + 1]! & 0x7fffffff) + 0x00800000) | 0;
    c |= ((bits[index + 2]! & 0x7fffffff) + 0x00800000) | 0;
    d |= ((bits[index + 3]! & 0x7fffffff) + 0x00800000) | 0;
  }
  for (; index < end; index++) a |= ((bits[index]! & 0x7fffffff) + 0x00800000) | 0;
  return a | b | c | d;
}

let halfTable: Uint32Array | undefined;

/** The float32 bit pattern of each of the 65,536 float16 ones. */
function makeHalfTable(): Uint32Array {
  const values = new Float32Array(65536);
  for (let pattern = 0; pattern < values.length; pattern++) {
    const sign = pattern & 0x8000 ? -1 : 1;
    const exponent = (pattern >>> 10) & 0x1f;
    const fraction = pattern & 0x3ff;
    if (exponent === 0) values[pattern] = sign * fraction * 2 ** -24;
    else if (exponent < 31) values[pattern] = sign * (1024 + fraction) * 2 ** (exponent - 25);
    else values[pattern] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  return new Uint32Array(values.buffer);
}
