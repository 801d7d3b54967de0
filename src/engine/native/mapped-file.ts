import { closeSync, openSync } from "node:fs";
import { native, type Pointer } from "./native.ts";

/** Mappings begin at multiples of this, which every system's page size divides. */
const alignment = 65536;
const [readable, shared] = [1, 1];

interface MemoryMapping {
  map(address: null, bytes: number, protection: number, flags: number, file: number, offset: number): Pointer;
  unmap(address: Pointer, bytes: number): number;
}

/** Unmaps what nothing refers to any more. */
const unused = new FinalizationRegistry<{ address: Pointer; bytes: number }>(({ address, bytes }) => {
  system()?.unmap(address, bytes);
});

/**
 * A part of a file as memory, read-only and not copied: its pages are read when they are touched,
 * are shared with every process that maps the file, and can be given up by the system at any time.
 * The file must be replaced, not overwritten, while it is mapped.
 *
 * @returns undefined where the system cannot map files; the part must then be read
 * @throws Error of the file system if the file cannot be opened.
 */
export function mapFile(file: string, offset: number, bytes: number): ArrayBuffer | undefined {
  const mapping = system();
  if (!mapping || bytes === 0) return undefined;
  const before = offset % alignment;
  const descriptor = openSync(file, "r");
  try {
    const address = mapping.map(null, before + bytes, readable, shared, descriptor, offset - before);
    if (BigInt.asIntN(64, address) === -1n) return undefined;
    const buffer = native().view(address + BigInt(before), bytes);
    unused.register(buffer, { address, bytes: before + bytes });
    return buffer;
  } finally {
    closeSync(descriptor);
  }
}

let known: { system: MemoryMapping | undefined } | undefined;

function system(): MemoryMapping | undefined {
  known ??= { system: loadSystem() };
  return known.system;
}

function loadSystem(): MemoryMapping | undefined {
  if (process.platform === "win32") return undefined;
  try {
    // The C library is part of the process itself.
    const library = native().load(null);
    return {
      map: library.func("void *mmap(void *address, size_t bytes, int protection, int flags, int file, int64_t offset)"),
      unmap: library.func("int munmap(void *address, size_t bytes)"),
    } as MemoryMapping;
  } catch {
    return undefined;
  }
}
