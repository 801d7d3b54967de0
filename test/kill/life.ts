/**
 * A process that runs a recipe and may be told to kill itself at a moment. Arguments: recipe,
 * options and `Death` as JSON.
 */
import files, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { devNull } from "node:os";

/**
 * When a process kills itself: at one of its calls that change files, or some time after its work
 * began.
 */
export type Death = { call: number; when: "before" | "after" } | { milliseconds: number } | "never";

const [recipeFile, options, death] = process.argv.slice(2) as [string, string, string];
const fate = JSON.parse(death) as Death;
let calls = 0;

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

/** Replaces methods by ones that count their calls. */
function count(target: object, names: readonly string[]): void {
  const methods = target as Record<string, (...given: unknown[]) => Promise<unknown>>;
  for (const name of names) {
    const plain = methods[name]!;
    methods[name] = async function (this: unknown, ...given: unknown[]) {
      const mine = ++calls;
      const isLast = typeof fate === "object" && "call" in fate && fate.call === mine;
      if (isLast && fate.when === "before") die();
      const result = await plain.apply(this, given);
      if (isLast) die();
      return result;
    };
  }
}

const handle = await files.open(devNull, "r");
count(Object.getPrototypeOf(handle) as FileHandle, ["sync", "appendFile", "writeFile", "truncate"]);
await handle.close();
count(files, ["rename", "rm", "rmdir", "mkdir", "writeFile", "appendFile", "truncate"]);
// Named imports of what is loaded from here on are the counting ones.
syncBuiltinESMExports();

const { readRecipe } = await import("../../src/recipe/parse.ts");
const { train } = await import("../../src/pipeline.ts");
const { UserError } = await import("../../src/errors.ts");
const recipe = await readRecipe(recipeFile);
const began = performance.now();
if (typeof fate === "object" && "milliseconds" in fate) setTimeout(die, fate.milliseconds);
try {
  await train(recipe, JSON.parse(options) as object);
  console.log(JSON.stringify({ calls, milliseconds: performance.now() - began }));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.log(JSON.stringify({ refused: error.message }));
}
// A death that did not come in time would only keep the process waiting.
process.exit();
