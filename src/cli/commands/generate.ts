import { Command } from "commander";
import { UserError } from "../../errors.ts";
import { type Generation, generate } from "../../generate/generate.ts";
import { type Prompt, readPrompts } from "../../generate/prompts.ts";
import { colorsFor } from "../terminal/colors.ts";
import { countedProgress } from "../terminal/counted-progress.ts";
import { endWithReader } from "../terminal/lost-output.ts";
import { texts } from "../terminal/option-values.ts";
import { shownText } from "../terminal/shown-text.ts";
import {
  addGenerationOptions,
  type GenerationOptions,
  generateOptions,
  prepareModel,
  withModel,
} from "./generation.ts";

interface Options extends GenerationOptions {
  prompt?: string[];
  prompts?: string;
  greedy: boolean;
  json: boolean;
}

/** `tokenwise generate`. */
export function generateCommand(): Command {
  const command = new Command("generate")
    .description("sample answers of a model")
    .argument("<model>", "model folder, or the folder of a run")
    .option("--prompt <text...>", "prompts, taken literally (a line break: $'one\\ntwo' in most shells)", texts)
    .option("--prompts <file>", "a file of prompts: a text per line, or records with a `prompt` (.jsonl, .parquet)")
    .option("--greedy", "always the most likely token", false);
  return addGenerationOptions(command)
    .option("--json", "a line of JSON for each answer", false)
    .addHelpText("after", '\nExample:\n  tokenwise generate runs/demo --prompt "This movie is" --samples 3')
    .action(run);
}

async function run(path: string, options: Options): Promise<void> {
  const given = (options.prompt ?? []).map((text) => ({ text }));
  endWithReader();
  const prompts: Prompt[] = [...given, ...(options.prompts === undefined ? [] : await readPrompts(options.prompts))];
  if (prompts.length === 0) throw new UserError("there is no prompt", { hint: "give --prompt or --prompts" });
  const prepared = await prepareModel(path, prompts);
  const printer = options.json ? jsonPrinter(prompts) : textPrinter(prompts, prompts.length * options.samples === 1);
  const progress = countedProgress("answers", prompts.length * options.samples);
  await withModel(prepared, options.threads, async (engine, model) => {
    const answers = generate(engine, model, prepared.tokenizer, prepared.prompts, {
      ...generateOptions(options),
      onText: printer.piece,
      ...(!printer.piece && { onProgress: progress.update }),
    });
    for await (const batch of answers) {
      progress.clear();
      for (const answer of batch) printer.answer(answer);
    }
  });
}

/** The ways to print answers: whole, or as pieces of text while they grow. */
interface Printer {
  piece?: ((piece: { text: string }) => void) | undefined;
  answer(answer: Generation): void;
}

function jsonPrinter(prompts: readonly Prompt[]): Printer {
  return {
    answer({ prompt, tokens, ...answer }) {
      console.log(JSON.stringify({ prompt: prompts[prompt]!.text, ...answer, tokens: tokens.length }));
    },
  };
}

/** @param live whether there is one answer, which can be shown as it grows */
function textPrinter(prompts: readonly Prompt[], live: boolean): Printer {
  const { dim } = colorsFor(process.stdout);
  if (!live) {
    return {
      answer: ({ prompt, text }) => console.log(`${dim(shownText(prompts[prompt]!.text))}${shownText(text)}\n`),
    };
  }
  let begun = false;
  const begin = () => {
    if (!begun) process.stdout.write(dim(shownText(prompts[0]!.text)));
    begun = true;
  };
  return {
    piece({ text }) {
      begin();
      process.stdout.write(shownText(text));
    },
    answer() {
      begin();
      process.stdout.write("\n");
    },
  };
}
