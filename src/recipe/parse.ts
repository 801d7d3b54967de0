import { type Document, isMap, isNode, isScalar, LineCounter, type Pair } from "yaml";
import { UserError } from "../errors.ts";
import { readTextFile } from "../files/file-system.ts";
import { describeIssue, type Issue } from "./issue.ts";
import { keysOfOtherVariants } from "./keys.ts";
import type { RecipeInput } from "./recipe-input.ts";
import { firstConflict } from "./rules.ts";
import { type Recipe, recipeSchema } from "./schema.ts";
import { parseYaml } from "./yaml.ts";

/**
 * Reads a recipe file.
 *
 * @param set `key=value` settings that replace the file's, keys dotted
 * (`objective.beta=0.2`), values in YAML; without a value, the key is taken out
 * @throws UserError with line and column for anything that is not a valid recipe.
 */
export async function readRecipe(file: string, set: readonly string[] = []): Promise<Recipe> {
  return parseRecipe(await readTextFile(file, longestFile, "cannot read the recipe"), file, set);
}

/** Bytes of a recipe at most; what is longer is data. */
const longestFile = 1_000_000;

/** Parses and checks the text of a recipe; `file` is named in errors. */
export function parseRecipe(text: string, file: string, set: readonly string[] = []): Recipe {
  const source = new RecipeSource(text, file);
  for (const override of set) source.override(override);
  const value = source.value();
  const checked = recipeSchema.safeParse(value);
  if (!checked.success) throw source.error(describeIssue(checked.error.issues, value));
  const conflict = firstConflict(checked.data);
  if (conflict) throw source.error(conflict);
  sources.set(checked.data, source);
  defined.add(checked.data);
  return checked.data;
}

/** Recipes that are checked and complete. */
const defined = new WeakSet<object>();

/**
 * Checks a recipe that is given as an object, and adds the defaults of missing keys. A recipe that
 * was checked before is returned as it is.
 *
 * @throws UserError naming the key that is missing, unknown or wrong.
 */
export function defineRecipe(input: RecipeInput | Recipe): Recipe {
  if (defined.has(input)) return input as Recipe;
  const checked = recipeSchema.safeParse(input);
  const issue = checked.success ? firstConflict(checked.data) : describeIssue(checked.error.issues, input);
  if (!issue) {
    defined.add(checked.data!);
    return checked.data!;
  }
  const { path, problem, hint } = issue;
  throw new UserError(problem, { field: path.join("."), ...(hint && { hint }) });
}

/**
 * Adds to an error that names a key of the recipe, and no file, where that key stands; any other
 * error is returned as it is.
 */
export function placeInRecipe(recipe: Recipe, error: unknown): unknown {
  const source = sources.get(recipe);
  if (!source || !(error instanceof UserError) || error.place.file || !error.place.field) return error;
  const path = error.place.field.split(".");
  // The data's own functions know their options, not that these are below `data` in a recipe.
  const place = source.place(path[0]! in recipeSchema.shape ? path : ["data", ...path]);
  return new UserError(error.message, { ...place, cause: error });
}

/** The sources of recipes, for problems that show later. */
const sources = new WeakMap<Recipe, RecipeSource>();

/** The text of a recipe with the settings that replace parts of it. */
class RecipeSource {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #document: Document;
  readonly #overrides: { path: string[]; text: string }[] = [];

  constructor(text: string, file: string) {
    this.#file = file;
    const parsed = parseYaml(text, this.#lines);
    if ("problem" in parsed) throw new UserError(parsed.problem, { file, ...this.#position(parsed.offset) });
    this.#document = parsed.document;
    if (!isMap(this.#document.contents))
      throw new UserError("is not a recipe: it needs keys such as `model:` and `data:`", { file });
  }

  override(text: string): void {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    const place = { file: `\`set: ${text}\`` };
    if (!key)
      throw new UserError("is not a setting", { ...place, hint: "write key=value, such as objective.beta=0.2" });
    const parsed = parseYaml(value!);
    if ("problem" in parsed) throw new UserError(parsed.problem, place);
    const path = key.split(".");
    try {
      const content = parsed.document.toJS();
      if (content === null) this.#document.deleteIn(path);
      else {
        if (this.#document.getIn(path) !== content) this.#dropKeysOfOtherVariants(path, content);
        this.#document.setIn(path, this.#document.createNode(content));
      }
    } catch (cause) {
      throw new UserError("the recipe has no place for this key", { ...place, cause });
    }
    this.#overrides.push({ path, text });
  }

  value(): unknown {
    try {
      return this.#document.toJS();
    } catch (cause) {
      throw new UserError(`not valid YAML: ${cause instanceof Error ? cause.message : cause}`, {
        file: this.#file,
        cause,
      });
    }
  }

  error({ path, atKey = false, problem, hint }: Issue): UserError {
    const field = path.join(".");
    return new UserError(problem, { ...this.place(path, atKey), ...(field && { field }), ...(hint && { hint }) });
  }

  /**
   * The place at which a value (or, with `atKey`, the key itself) was given; for a missing value,
   * its parent.
   */
  place(path: readonly PropertyKey[], atKey = false): { file: string; line?: number; column?: number } {
    const steps = path.map(String);
    const override = this.#overrides.findLast(({ path: set }) =>
      set.slice(0, steps.length).every((step, index) => step === steps[index]),
    );
    if (override && steps.length > 0) return { file: `\`set: ${override.text}\`` };
    for (let length = steps.length; length > 0; length--) {
      const parent = this.#document.getIn(steps.slice(0, length - 1), true);
      const pair = isMap(parent) ? parent.items.find((pair) => keyOf(pair) === steps[length - 1]) : undefined;
      const node = pair && (atKey && length === steps.length ? pair.key : (pair.value ?? pair.key));
      if (isNode(node) && node.range) return { file: this.#file, ...this.#position(node.range[0]) };
    }
    return { file: this.#file };
  }

  /**
   * The file's settings of an objective say nothing about another one; what was set as well stays,
   * to be told if it is wrong.
   */
  #dropKeysOfOtherVariants(path: readonly string[], value: unknown): void {
    const parent = path.slice(0, -1);
    const group = this.#document.getIn(parent, true);
    if (!isMap(group)) return;
    const foreign = keysOfOtherVariants(path, value);
    for (const key of group.items.map(keyOf)) {
      if (foreign.has(key) && !this.#isSet([...parent, key])) this.#document.deleteIn([...parent, key]);
    }
  }

  /** True if an override gave a value, a part of it, or a group that holds it. */
  #isSet(path: readonly string[]): boolean {
    return this.#overrides.some(({ path: set }) =>
      path.slice(0, set.length).every((step, index) => step === set[index]),
    );
  }

  #position(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }
}

function keyOf({ key }: Pair): string {
  return String(isScalar(key) ? key.value : key);
}
