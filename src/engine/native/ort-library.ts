import type koffi from "koffi";
import { native, type Pointer } from "./native.ts";
import { ortLibraryFile, refuseLibrary } from "./ort-library-file.ts";

/**
 * The C function type of each entry of the function table that we use, and its position there (the
 * table only ever grows).
 */
const functionTable = {
  getErrorMessage: [2, "const char *(void *status)"],
  createSessionFromArray: [8, "void *(void *env, void *data, size_t bytes, void *options, _Out_ void **session)"],
  run: [
    9,
    "void *(void *session, void *options, void *inputNames, void *inputs, size_t inputCount, void *outputNames, size_t outputCount, void *outputs)",
  ],
  createSessionOptions: [10, "void *(_Out_ void **options)"],
  disableMemPattern: [17, "void *(void *options)"],
  createTensorWithData: [
    49,
    "void *(void *memory, void *data, size_t bytes, void *shape, size_t rank, int type, _Out_ void **value)",
  ],
  createCpuMemoryInfo: [69, "void *(int allocator, int memoryType, _Out_ void **memory)"],
  releaseStatus: [93, "void (void *status)"],
  releaseSession: [95, "void (void *session)"],
  releaseValue: [96, "void (void *value)"],
  createEnvWithGlobalThreadPools: [119, "void *(int level, const char *name, void *threading, _Out_ void **env)"],
  disablePerSessionThreads: [120, "void *(void *options)"],
  createThreadingOptions: [121, "void *(_Out_ void **options)"],
  addSessionConfigEntry: [130, "void *(void *options, const char *key, const char *value)"],
  createAndRegisterAllocator: [144, "void *(void *env, void *memory, void *arena)"],
  setGlobalIntraOpThreads: [147, "void *(void *options, int threads)"],
  setGlobalInterOpThreads: [148, "void *(void *options, int threads)"],
  createArenaConfig: [164, "void *(void *keys, void *values, size_t count, _Out_ void **config)"],
} as const satisfies Record<string, readonly [number, string]>;

type NativeFunction = ReturnType<ReturnType<typeof koffi.load>["func"]>;

/** The functions of ONNX Runtime's C interface, callable from here; each also has `.async`. */
export type OrtFunctions = { readonly [Name in keyof typeof functionTable]: NativeFunction };

const apiVersion = 20;
/**
 * The library is kept because koffi unloads one that nothing refers to, whatever addresses were
 * read from it.
 */
let loaded: { library: ReturnType<typeof koffi.load>; functions: OrtFunctions } | undefined;

/**
 * Loads this platform's library of ONNX Runtime, without the binding of onnxruntime-node: the C
 * interface runs asynchronously, writes results into memory we give it, and lets a result overwrite
 * an operand.
 *
 * @throws UserError when the platform has no library, or it cannot be loaded.
 */
export function loadOrt(): OrtFunctions {
  if (loaded) return loaded.functions;
  const file = ortLibraryFile();
  const { decode, proto, sizeof } = native();
  const library = load(file);
  const base = library.func("void *OrtGetApiBase()")() as Pointer;
  const getApi = decode(decode(base, "void *") as Pointer, proto("void *(uint32_t version)")) as NativeFunction;
  const table = getApi(apiVersion) as Pointer;
  const functions = Object.entries(functionTable).map(([name, [position, signature]]) => {
    const address = decode(table, position * sizeof("void *"), "void *") as Pointer;
    return [name, decode(address, proto(signature)) as NativeFunction];
  });
  loaded = { library, functions: Object.fromEntries(functions) as OrtFunctions };
  return loaded.functions;
}

function load(file: string): ReturnType<typeof koffi.load> {
  try {
    return native().load(file);
  } catch (error) {
    return refuseLibrary(error);
  }
}
