import { totalmem } from "node:os";
import { exampleLength } from "../data/batch.ts";
import type { TokenizedExample } from "../data/example.ts";
import { architectureOf } from "../families/registry.ts";
import { parameterShapes } from "../models/architecture.ts";
import type { Objective } from "../objectives/objective.ts";
import type { Recipe } from "../recipe/schema.ts";
import type { TrainedModel } from "../runs/starting-point.ts";
import { counted, grouped } from "../words.ts";
import { estimateMemory, savings } from "./memory.ts";

/** The recipe with what `memory` asks for switched on, and what is to be said of it. */
export interface MemoryPlan {
  readonly recipe: Recipe;
  readonly note: string | undefined;
  readonly warning: string | undefined;
}

/**
 * Keeps a run to the memory that its recipe allows: fills the reference's cache ahead, so that only
 * its head stays, then computes activations again instead of keeping them; the cheapest that is
 * enough by estimate. Without `memory` in the recipe everything stays as it is. Warns where the run
 * may take more than is allowed, or more than the machine has; of the examples to blame, where it
 * is they.
 *
 * @param machineBytes the memory of the machine
 */
export function planMemory(
  recipe: Recipe,
  objective: Objective,
  model: TrainedModel,
  examples: readonly TokenizedExample[],
  machineBytes = totalmem(),
): MemoryPlan {
  const { memory } = recipe;
  const allowed = memory === undefined ? machineBytes : bytesOf(memory);
  // The reference of an adapter takes no memory that a cache could save.
  const cacheable = !model.adapter && objective.reference !== "none" && recipe.referenceCache.gigabytes > 0;
  const asked = {
    ahead: cacheable && recipe.referenceCache.ahead,
    activationCheckpointing: recipe.activationCheckpointing,
  };
  const parameters = [...parameterShapes(architectureOf(model.configuration)).values()].reduce(
    (sum, shape) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
  const estimate = (ways: typeof asked, sizes: readonly number[] = examples.map(exampleLength)) =>
    estimateMemory({ parameters, ...model }, objective, {
      sizes,
      batchSize: recipe.batchSize,
      microbatchTokens: recipe.microbatch.tokens,
      optimizer: recipe.optimizer,
      ...ways,
    }).total;
  const possible = savings
    .filter(({ ahead }) => cacheable || !ahead)
    .map(({ ahead, activationCheckpointing }) => ({
      ahead: ahead || asked.ahead,
      activationCheckpointing: activationCheckpointing || asked.activationCheckpointing,
    }));
  const chosen =
    memory === undefined ? asked : (possible.find((ways) => estimate(ways) <= allowed) ?? possible.at(-1)!);
  const total = estimate(chosen);
  const written = (bytes: number) => writtenLike(memory ?? "0 GB", bytes);
  const limit = memory === undefined ? `the ${written(machineBytes)} of this machine` : `the ${memory} allowed`;
  const excess = () =>
    outliers(recipe, examples, { allowed, limit, written, estimate: (sizes) => estimate(chosen, sizes) }) ??
    `the run may take ${written(total)}, more than ${limit}: lower \`microbatch.tokens\` or \`data.maxLength\`${model.adapter || recipe.init ? "" : ", or train an adapter with `lora: {}`"}`;
  const warning = total > allowed ? excess() : undefined;
  if (memory === undefined) return { recipe, note: undefined, warning };
  const planned = {
    ...recipe,
    activationCheckpointing: chosen.activationCheckpointing,
    referenceCache: { ...recipe.referenceCache, ahead: recipe.referenceCache.ahead || chosen.ahead },
  };
  const measures = [
    ...(chosen.ahead ? ["the reference is cached ahead"] : []),
    ...(chosen.activationCheckpointing ? ["activations are computed again"] : []),
  ];
  const how = measures.length > 0 ? `: ${measures.join(", ")}` : "";
  return {
    recipe: planned,
    note: `memory: about ${written(total)} of ${memory} by estimate${how}`,
    warning,
  };
}

/**
 * The note on examples that do not fit even alone, although the others do.
 *
 * @returns undefined where it is not they that are to blame
 */
function outliers(
  { microbatch }: Pick<Recipe, "microbatch">,
  examples: readonly TokenizedExample[],
  given: {
    allowed: number;
    /** The limit in words. */
    limit: string;
    written(bytes: number): string;
    /** Bytes for examples of these sizes. */
    estimate(sizes: readonly number[]): number;
  },
): string | undefined {
  const { allowed, limit, written, estimate } = given;
  const fits = (sizes: readonly number[]) => estimate(sizes) <= allowed;
  const sizes = examples.map(exampleLength);
  // Only what goes alone has more tokens than a microbatch.
  const tooLong = new Set(sizes.filter((size) => size > microbatch.tokens && !fits([size])));
  const longest = sizes.reduce((most, size) => Math.max(most, size), 0);
  const { place, responses } = examples[sizes.indexOf(longest)]!;
  // An example has at most so many times the tokens of a prompt with one answer.
  const maxLength = Math.floor(mostThat((size) => fits([size]), longest) / responses.length);
  if (tooLong.size === 0 || !fits(sizes.filter((size) => !tooLong.has(size))) || maxLength < 2) return undefined;
  const others = sizes.filter((size) => tooLong.has(size)).length - 1;
  return [
    `${place ? `the example at ${place.file}:${place.line}` : "an example"} is too long:`,
    `with its ${grouped(longest)} tokens the run may take ${written(estimate([longest]))}, more than ${limit};`,
    `set \`data.maxLength\` to ${maxLength} or less`,
    ...(others > 0 ? [`(${counted(others, "more example is", "more examples are")} too long)`] : []),
  ].join(" ");
}

/**
 * The largest whole number below `limit` that something holds for, where it holds for all smaller
 * ones.
 */
function mostThat(holds: (value: number) => boolean, limit: number): number {
  let [least, most] = [0, limit];
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (holds(middle)) least = middle;
    else most = middle;
  }
  return least;
}

function bytesOf(size: string): number {
  return Number.parseFloat(size) * (size.endsWith("GB") ? 1e9 : 1e6);
}

/**
 * A size in the unit and the spelling of the user's, so that the two can be compared at a glance.
 */
function writtenLike(size: string, bytes: number): string {
  return size.replace(/^[\d.]+/, size.endsWith("GB") ? (bytes / 1e9).toFixed(1) : (bytes / 1e6).toFixed(0));
}
