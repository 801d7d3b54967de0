import { Command, Option } from "commander";
import { writeFileAtomic } from "../../files/file-system.ts";
import { type ProposeOptions, proposeRecipe } from "../../init/propose.ts";
import { summarizeProposal } from "../../init/summary.ts";
import { objectives } from "../../objectives/index.ts";
import { withoutControls } from "../../show/visible-text.ts";
import { type CountedProgress, countedProgress } from "../terminal/counted-progress.ts";
import { columnOf } from "../terminal/option-values.ts";
import { checkOutputFile } from "../terminal/output-file.ts";
import { shownMessage } from "../terminal/shown-text.ts";

interface Options extends Pick<ProposeOptions, "objective" | "columns"> {
  output: string;
  overwrite: boolean;
}

/** `tokenwise init`. */
export function initCommand(): Command {
  return new Command("init")
    .description("look at a model and at data, and write a recipe that fits them")
    .argument("<model>", "model folder, or the folder of a run")
    .argument("<data...>", "files of pairs or of texts (.jsonl, .jsonl.gz, .json, .json.gz, .parquet)")
    .option("-o, --output <file>", "the recipe", "recipe.yaml")
    .addOption(
      new Option("--objective <name>", "tdpo2 for pairs and sft for texts, unless given").choices(
        objectives.map(({ name }) => name),
      ),
    )
    .option(
      "--columns <name=column...>",
      "other names for prompt, chosen, rejected, text in the data",
      columnOf("prompt", "chosen", "rejected", "text"),
    )
    .option("--overwrite", "replace the recipe if there is one", false)
    .addHelpText(
      "after",
      `
Reads the data as training does, and tokenizes up to 5,000 records of it. Nothing is trained.

Example:
  tokenwise init demo/model demo/pairs.jsonl --output recipe.yaml`,
    )
    .action(run);
}

async function run(model: string, data: string[], { output, overwrite, ...options }: Options): Promise<void> {
  const problem = "cannot write the recipe";
  await checkOutputFile(output, { option: "--output", problem, overwrite, inputs: data });
  let progress: CountedProgress | undefined;
  const proposal = await proposeRecipe({
    ...options,
    model,
    data,
    onProgress(done, total) {
      progress ??= countedProgress("tokenizing", total);
      progress.update(done);
    },
  }).finally(() => progress?.clear());
  await writeFileAtomic(output, proposal.text);
  for (const note of proposal.model.notes) console.error(shownMessage(`note: ${note}`));
  console.log(withoutControls(summarizeProposal(proposal)));
  console.log(shownMessage(`recipe: ${output}, to read and to change. Then:`));
  for (const option of [" --dry-run", ""])
    console.log(withoutControls(`  npx tokenwise train ${shellWord(output)}${option}`));
}

/** A file name as a shell takes it. */
function shellWord(text: string): string {
  return /^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
