import { writeOnnx } from "../../graph/onnx.ts";
import { outputShapes, type Program } from "../../graph/program.ts";
import { type ElementType, elementCount, type Value } from "../../graph/tensor.ts";
import { checkOutput, type Engine, type Executable, type FloatValue } from "../engine.ts";
import { hostMemory } from "../host-memory.ts";
import { native, type Pointer } from "./native.ts";
import { loadOrt, type OrtFunctions } from "./ort-library.ts";
import { Workspace } from "./workspace.ts";

/** ONNX Runtime's numbers for what a tensor holds. */
const elementTypes: Record<ElementType, number> = { float: 1, int: 6, float16: 10, bfloat16: 16, int4: 22 };
/** Errors come back as statuses, so ONNX Runtime need not print them as well. */
const fatalLevel = 4;

/**
 * The arrays that running programs read and write: native code holds addresses, which keep nothing
 * from the garbage collector.
 */
const inFlight = new Set<unknown>();

/** One environment serves the process, because it owns the thread pool that all sessions share. */
let environment: { pointer: Pointer; threads: number; memory: Pointer } | undefined;

/**
 * An engine on ONNX Runtime's CPU provider.
 *
 * @param options.threads for all programs together; it is fixed by the first engine that the
 * process makes.
 */
export function onnxRuntimeEngine({ threads }: { threads: number }): Engine {
  const ort = loadOrt();
  environment ??= createEnvironment(ort, threads);
  if (environment.threads !== threads) {
    throw new Error(`ONNX Runtime already runs with ${environment.threads} threads in this process, not ${threads}`);
  }
  const context = { ort, ...environment, workspace: new Workspace() };
  const executables = new Set<Executable>();
  return {
    ...hostMemory,
    precision: "float32",
    compile: (program) => {
      const executable = compile(context, program);
      executables.add(executable);
      return executable;
    },
    allocate: (shape) => allocate(context.workspace, shape),
    zeros: (shape) => allocate(context.workspace, shape, { zeroed: true }),
    release: (value) => context.workspace.give(value.data.buffer as ArrayBuffer),
    get allocatedBytes() {
      return context.workspace.heldBytes;
    },
    dispose: () => {
      for (const executable of executables) executable.dispose();
      context.workspace.clear();
    },
  };
}

interface Context {
  ort: OrtFunctions;
  pointer: Pointer;
  memory: Pointer;
  workspace: Workspace;
}

function allocate(workspace: Workspace, shape: readonly number[], how?: { zeroed: boolean }): FloatValue {
  const count = elementCount(shape);
  return { shape: [...shape], data: new Float32Array(workspace.take(count * 4, how), 0, count) };
}

function createEnvironment(ort: OrtFunctions, threads: number) {
  const threading = create(ort, (out) => ort.createThreadingOptions(out));
  check(ort, ort.setGlobalIntraOpThreads(threading, threads));
  check(ort, ort.setGlobalInterOpThreads(threading, 1));
  const pointer = create(ort, (out) => ort.createEnvWithGlobalThreadPools(fatalLevel, "tokenwise", threading, out));
  const arena = 1;
  const memory = create(ort, (out) => ort.createCpuMemoryInfo(arena, 0, out));
  // Programs run one after another and share one large region, of which the system gives only the
  // pages that are touched. Regions as large as what is asked would stay behind, one for each new
  // length of a batch, since what lies in two of them cannot be joined.
  const keys = cStrings(["arena_extend_strategy", "initial_chunk_size_bytes"]);
  const config = create(ort, (out) => ort.createArenaConfig(keys.pointers, BigUint64Array.of(0n, 1n << 30n), 2, out));
  check(ort, ort.createAndRegisterAllocator(pointer, memory, config));
  return { pointer, threads, memory };
}

function compile({ ort, pointer: env, memory, workspace }: Context, program: Program): Executable {
  const model = writeOnnx(program);
  const options = create(ort, (out) => ort.createSessionOptions(out));
  check(ort, ort.disablePerSessionThreads(options));
  check(ort, ort.disableMemPattern(options));
  check(ort, ort.addSessionConfigEntry(options, "session.use_env_allocators", "1"));
  const session = create(
    ort,
    (out) => ort.createSessionFromArray(env, model.bytes, model.bytes.length, options, out),
    program.name,
  );

  const inputNames = [...program.inputs.keys()];
  const outputNames = [...program.outputs.keys()];
  const nativeInputNames = cStrings(inputNames);
  const nativeOutputNames = cStrings(outputNames.map((name) => model.outputNames.get(name)!));
  let disposed = false;

  const nativeValue = (value: Value): Pointer => {
    const { data } = value;
    const type = elementTypes[value.format ?? (data instanceof Int32Array ? "int" : "float")];
    if (data instanceof Float64Array) throw new Error(`program ${program.name}: float64 data for a float32 engine`);
    const shape = BigInt64Array.from(value.shape, BigInt);
    return create(
      ort,
      (out) => ort.createTensorWithData(memory, data, data.byteLength, shape, shape.length, type, out),
      program.name,
    );
  };

  return {
    program,
    async run(inputs, outputs = {}) {
      if (disposed) throw new Error(`program ${program.name} has been disposed`);
      const shapes = outputShapes(program, inputs);
      const results = Object.fromEntries(
        outputNames.map((name) => {
          const shape = shapes.get(name)!;
          const given = outputs[name];
          if (given) checkOutput(program, name, shape, given);
          return [name, given ? { shape, data: given.data } : allocate(workspace, shape)];
        }),
      );
      const nativeInputs = BigUint64Array.from(inputNames, (name) => nativeValue(inputs[name]!));
      const nativeOutputs = BigUint64Array.from(outputNames, (name) => nativeValue(results[name]!));
      const held = { inputs, results };
      inFlight.add(held);
      try {
        const status = await call(
          ort.run,
          ...[session, null, nativeInputNames.pointers, nativeInputs, inputNames.length],
          ...[nativeOutputNames.pointers, outputNames.length, nativeOutputs],
        );
        check(ort, status, program.name);
      } finally {
        inFlight.delete(held);
        for (const value of nativeInputs) ort.releaseValue(value);
        for (const value of nativeOutputs) ort.releaseValue(value);
      }
      return results;
    },
    dispose() {
      if (!disposed) ort.releaseSession(session);
      disposed = true;
    },
  };
}

/** Calls a native function on another thread. */
function call(native: OrtFunctions["run"], ...values: unknown[]): Promise<Pointer | null> {
  return new Promise((resolve, reject) => {
    native.async(...values, (error: Error | null, status: Pointer | null) => (error ? reject(error) : resolve(status)));
  });
}

/** Runs a function that makes a native object and returns the object. */
function create(ort: OrtFunctions, make: (out: [Pointer | null]) => Pointer | null, program?: string): Pointer {
  const out: [Pointer | null] = [null];
  check(ort, make(out), program);
  return out[0]!;
}

/** Turns a failed status into an Error. */
function check(ort: OrtFunctions, status: Pointer | null, program?: string): void {
  if (!status) return;
  const message = (ort.getErrorMessage(status) as string).trim();
  ort.releaseStatus(status);
  throw new Error(`ONNX Runtime${program ? ` (program ${program})` : ""}: ${message}`);
}

/** Names as an array of C strings; the bytes must live as long as the pointers are used. */
function cStrings(names: readonly string[]): { pointers: BigUint64Array; bytes: Uint8Array[] } {
  const bytes = names.map((name) => new TextEncoder().encode(`${name}\0`));
  return { pointers: BigUint64Array.from(bytes, (name) => native().address(name)), bytes };
}
