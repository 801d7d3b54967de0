/** The rooms of the source tree, what each is for, and how they may depend on each other. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** A folder or file at the top of `src/`. */
export interface Room {
  readonly name: string;
  /** One line for a reader of the tree. */
  readonly purpose: string;
}

export const source = fileURLToPath(new URL("../src", import.meta.url));

const room = (name: string, purpose: string): Room => ({ name, purpose });

/**
 * All rooms from the ground up. A file may import from its own room and from the floors below.
 * Rooms of one floor may import from each other.
 */
export const floors: readonly (readonly Room[])[] = [
  [room("one-line.ts", "text and values as one safe line")],
  [room("errors.ts", "UserError: what is wrong with the input, where, and what to do")],
  [
    room("files", "atomic files, locks, leftovers of killed processes, JSON from anywhere, ~ in paths"),
    room("numbers.ts", "numbers in settings, each with bounds"),
    room("number-formats.ts", "float16, bfloat16 and other formats of stored numbers"),
    room("words.ts", "counts, shares and sizes in words"),
    room("random.ts", "seeded random numbers"),
    room("hash.ts", "a fast hash for names and seeds"),
    room("event-loop.ts", "a pause in which the program hears what happened"),
    room("report.ts", "what long work tells: notes, warnings, progress, metrics"),
  ],
  [room("graph", "the gradient compiler: ops with their gradients, programs, ONNX models")],
  [room("engine", "runs programs: ONNX Runtime (native/), the float64 interpreter")],
  [room("data", "files to examples: files/, forms/ (pairs, texts), tokens/ (tokenizers), batches")],
  [room("models", "transformers forward and backward over packed batches, LoRA, decoding")],
  [room("families", "config.json to an architecture: one file a family")],
  [room("storage", "model and adapter folders, safetensors, PEFT's layout")],
  [room("objectives", "statistics per token to a loss: one file a paper")],
  [room("step", "one optimizer step: statistics, gradients, update")],
  [room("importance", "importance weights of tokens (TIS-DPO): estimates, transforms")],
  [room("recipe", "YAML to checked settings")],
  [room("generate", "sampling with a cache of keys and values")],
  [room("runs", "a run's folder: recipe, metrics, checkpoints, resuming")],
  [room("train", "plan a run, open it, loop")],
  [room("pairs", "preference pairs from sampled answers and a scorer")],
  [room("evaluate", "measures of models on held-out pairs")],
  [room("score", "log-probabilities, entropies and divergences of the tokens of pairs")],
  [room("weigh", "contrastive models and estimates of token weights")],
  [room("pipeline.ts", "the stages of a recipe in order: contrastive models, estimates, the run")],
  [room("show", "token weights in colour: terminal and page")],
  [room("init", "a recipe proposed for a model and data")],
  [room("demo", "the embedded example")],
  [
    room("loaded-model.ts", "a model that is ready to use: generate, score, make pairs"),
    room("core.ts", "the library's face without Node"),
  ],
  [room("index.ts", "the library's face")],
  [room("cli", "the command line: commands/, terminal/")],
];

/** All source files but tests, relative to `src/`, with forward slashes. */
export const sourceFiles: readonly string[] = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => file.replaceAll("\\", "/"))
  .sort();

/** The room that a source file is in. */
export function roomOf(file: string): string {
  return file.split("/")[0]!;
}

/** The floor of a room, from 0. */
export function floorOf(file: string): number {
  const floor = floors.findIndex((rooms) => rooms.some(({ name }) => name === roomOf(file)));
  if (floor < 0) throw new Error(`${file}: src/${roomOf(file)} has no floor in scripts/rooms.ts`);
  return floor;
}

/**
 * The source files that a source file imports.
 *
 * @param options.types whether files that only types come from count
 */
export function importsOf(file: string, { types = true } = {}): string[] {
  const text = readFileSync(join(source, file), "utf8");
  const statements = types ? text : text.replace(/^(import|export) type [^;]*;/gm, "");
  return [...statements.matchAll(/(?:from |import\()"(\.[^"]+)"/g)]
    .map(([, path]) => relative(source, resolve(source, dirname(file), path!)).replaceAll("\\", "/"))
    .filter((target) => !target.startsWith(".."));
}

/** All source files that run when a source file is imported, itself included. */
export function closureOf(file: string): Set<string> {
  const reached = new Set([file]);
  for (const next of reached) for (const target of importsOf(next, { types: false })) reached.add(target);
  return reached;
}
