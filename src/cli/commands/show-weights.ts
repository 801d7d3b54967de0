import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import type { Tokenizer } from "../../data/tokens/tokenizer.ts";
import { UserError } from "../../errors.ts";
import { writeFileAtomic } from "../../files/file-system.ts";
import { type EstimatesFile, openEstimates, readEstimates } from "../../importance/estimates-file.ts";
import { createTransform, defaultTransform, type TransformOptions } from "../../importance/transforms.ts";
import { pairWeights } from "../../importance/weigh-examples.ts";
import { readRecipe } from "../../recipe/parse.ts";
import type { Recipe } from "../../recipe/schema.ts";
import { startingPoint, withTokenizerFolder } from "../../runs/starting-point.ts";
import { estimatesFile, isWeighted } from "../../runs/token-weights.ts";
import { heatScale } from "../../show/heat-scale.ts";
import { type ShownPair, shownPair, weightsOf } from "../../show/shown-pair.ts";
import { weightsPage } from "../../show/weights-page.ts";
import { tokenizerFingerprint } from "../../storage/fingerprint.ts";
import { colorsFor } from "../terminal/colors.ts";
import { endWithReader } from "../terminal/lost-output.ts";
import { atLeast } from "../terminal/option-values.ts";
import { checkOutputFile } from "../terminal/output-file.ts";
import { shownMessage } from "../terminal/shown-text.ts";
import { weightsLegend, weightsText } from "../terminal/weights-terminal.ts";

interface Options {
  model?: string;
  set?: string[];
  from: number;
  pairs: number;
  html?: string;
  htmlPairs: number;
  overwrite: boolean;
}

/** Estimates, and how to read and to weigh them. */
interface Source {
  readonly estimates: EstimatesFile;
  readonly tokenizer: Tokenizer;
  readonly transform: TransformOptions;
  readonly seed: number;
}

/** `tokenwise show-weights`. */
export function showWeightsCommand(): Command {
  return new Command("show-weights")
    .description("show the importance weights of the pairs' tokens, as colours in the terminal and as a web page")
    .argument("<weights>", "a run's folder, a recipe, or a file that `tokenwise weigh` wrote")
    .option("--model <model>", "whose tokenizer reads the tokens; only needed for a file of estimates")
    .option("--set <key=value...>", "change settings of the recipe, e.g. --set weights.transform.name=rank")
    .option("--from <number>", "first pair to print", atLeast(1), 1)
    .option("--pairs <count>", "pairs to print", atLeast(0), 3)
    .option("--html <file>", "write a page that needs no network")
    .option("--html-pairs <count>", "pairs in the page at most", atLeast(1), 2000)
    .option("--overwrite", "replace the page if there is one", false)
    .addHelpText("after", "\nExample:\n  tokenwise show-weights runs/tis-dpo --html weights.html")
    .action(run);
}

async function run(path: string, options: Options): Promise<void> {
  const { from, pairs: count, html, htmlPairs, overwrite } = options;
  if (html !== undefined)
    await checkOutputFile(html, { option: "--html", problem: "cannot write the page", overwrite });
  else if (count === 0)
    throw new UserError("there is nothing to show", { field: "--pairs", hint: "print at least 1, or give --html" });
  if (html === undefined) endWithReader();
  const source = await openSource(path, options);
  const { estimates, transform } = source;
  if (from > estimates.pairs) {
    const problem = `must be at most ${estimates.pairs}, the number of pairs`;
    throw new UserError(problem, { file: estimates.file, field: "--from" });
  }
  const printed = await shownPairs(source, from - 1, from - 1 + count);
  const colors = colorsFor(process.stdout);
  const scale = heatScale(printed.flatMap((pair) => [...weightsOf(pair)]));
  if (printed.length > 0) {
    console.log(
      [weightsLegend(scale, colors), ...printed.map((pair) => weightsText(pair, scale, colors))].join("\n\n"),
    );
  }
  if (html === undefined) return;
  const page = weightsPage(await shownPairs(source, 0, htmlPairs), {
    title: "Importance weights of tokens",
    transform: Object.entries(transform)
      .map(([key, value]) => (key === "name" ? value : `${key} ${value}`))
      .join(", "),
    identity: { Estimates: estimates.file, "Contrastive models": estimates.identity.from ?? "unknown" },
    totalPairs: estimates.pairs,
  });
  await writeFileAtomic(html, page);
  console.log(`${printed.length > 0 ? "\n" : ""}${shownMessage(`page: ${html}`)}`);
}

async function shownPairs({ estimates, tokenizer, transform, seed }: Source, start: number, end: number) {
  const weigh = createTransform(transform);
  const shown: ShownPair[] = [];
  const range = { start, end: Math.min(end, estimates.pairs) };
  for await (const pair of readEstimates(estimates, range)) {
    const number = range.start + shown.length + 1;
    shown.push(shownPair(pair, number, pairWeights(pair, number, weigh, seed), tokenizer));
  }
  return shown;
}

async function openSource(path: string, { model, set }: Options): Promise<Source> {
  const runRecipe = join(path, "recipe.yaml");
  const isRun = existsSync(runRecipe);
  const recipeFile = isRun ? runRecipe : /\.ya?ml$/.test(path) ? path : undefined;
  if (recipeFile === undefined && !/\.safetensors$/.test(path)) {
    const hint = "before training, give the recipe, or contrastive/estimates.safetensors with --model";
    throw new UserError("is neither a run, a recipe nor a file of estimates", { file: path, hint });
  }
  if (recipeFile === undefined) {
    if (set) throw new UserError("there is no recipe to change", { field: "--set", hint: "give a run or a recipe" });
    if (model === undefined) {
      throw new UserError("is missing", { field: "--model", hint: "say whose tokenizer reads the tokens" });
    }
    const transform = defaultTransform;
    return { ...(await readable(path, { model, seed: 0 })), transform, seed: 0 };
  }
  const recipe = await readRecipe(recipeFile, set);
  if (!isWeighted(recipe)) {
    throw new UserError("was trained without weights", { file: recipeFile, hint: "see `weights:` in docs/recipes.md" });
  }
  // A run's estimates are found where the run is now.
  const file = estimatesFile(isRun ? { ...recipe, output: path } : recipe);
  if (!existsSync(file))
    throw new UserError("there are no estimates yet", { file, hint: "run `npx tokenwise weigh` first" });
  const { seed } = recipe;
  const source = await readable(file, model === undefined ? recipe : { model, seed });
  return { ...source, transform: recipe.weights.transform, seed };
}

/** Estimates with the tokenizer of a starting point, which must be theirs. */
async function readable(
  file: string,
  start: Pick<Recipe, "model" | "init" | "tokenizer" | "seed">,
): Promise<Pick<Source, "estimates" | "tokenizer">> {
  const estimates = await openEstimates(file);
  return withTokenizerFolder(start, async (given) => {
    const { tokenizer, tokenizerFolder } = await startingPoint(start, given);
    const expected = estimates.identity.tokenizer;
    if (expected !== undefined && expected !== (await tokenizerFingerprint(tokenizerFolder))) {
      const problem = `was estimated with another tokenizer than that of ${start.tokenizer ?? start.model}`;
      throw new UserError(problem, { file });
    }
    return { estimates, tokenizer };
  });
}
