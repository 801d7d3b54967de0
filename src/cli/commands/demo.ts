import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import { type DemoExamples, type DemoFigures, runDemo } from "../../demo/demo.ts";
import { missedTargets, targets } from "../../demo/targets.ts";
import { mostThreads } from "../../numbers.ts";
import { quoted } from "../../one-line.ts";
import { withoutControls } from "../../show/visible-text.ts";
import { colorsFor } from "../terminal/colors.ts";
import { heatText } from "../terminal/heat.ts";
import { interrupted, untilInterrupted } from "../terminal/interruption.ts";
import { atLeast } from "../terminal/option-values.ts";
import { progressReporter } from "../terminal/progress.ts";
import { evaluationReporter } from "./evaluate.ts";

type Colors = ReturnType<typeof colorsFor>;

interface Options {
  output: string;
  threads: number;
  json: boolean;
}

/** Tokens whose divergence is given as a number. */
const tokensNamed = 5;

/**
 * `tokenwise demo`.
 *
 * @param exit takes the exit code where it is not 0
 */
export function demoCommand(exit: (code: number) => void): Command {
  return new Command("demo")
    .description(
      "see it work in minutes: a small model that comes with tokenwise learns from pairs to write friendly film reviews",
    )
    .option("--output <folder>", "the run's folder; that of an earlier run is replaced", "runs/demo")
    .addOption(
      new Option("--threads <count>").argParser(atLeast(1, mostThreads)).default(availableParallelism(), "all cores"),
    )
    .option("--json", "print the figures as one line of JSON, last", false)
    .addHelpText(
      "after",
      "\nExits with 1 if the alignment fell short of what it should reach.\n\nExample:\n  tokenwise demo",
    )
    .action(async ({ output, threads, json }: Options) => {
      console.log(introduction);
      const reporters = { training: progressReporter(), evaluation: evaluationReporter() };
      const result = await untilInterrupted("stopping", (signal) => runDemo({ output, threads, signal, ...reporters }));
      if (!result) {
        reporters.evaluation.clear();
        console.log("stopped");
        return exit(interrupted);
      }
      console.log(demoText(result.figures, result.examples, colorsFor(process.stdout)));
      if (json) console.log(JSON.stringify(result.figures));
      if (result.figures.passed) return;
      for (const missed of missedTargets(result.figures)) console.error(`missed: ${missed}`);
      exit(1);
    });
}

const introduction = `A model of 1.6 million parameters writes film reviews, good and bad ones alike. From pairs of its own reviews, the friendlier one chosen, it
learns with TDPO2 (token-level direct preference optimization) to like the films. All of it runs here, and nothing is downloaded.
`;

/** The text that the demo ends with. */
export function demoText(figures: DemoFigures, examples: DemoExamples, colors: Colors): string {
  return [
    "",
    table(figures, colors),
    "",
    reviews(examples, colors),
    "",
    divergences(examples, colors),
    "",
    colors.bold("What next"),
    next(figures),
  ].join("\n");
}

function table(figures: DemoFigures, { bold, dim }: Colors): string {
  const { heldOutPairs, before, after, freshSamples, sentiment, seconds } = figures;
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const signed = (value: number) => `${value < 0 ? "" : "+"}${value.toFixed(2)}`;
  const rows = [
    [
      "accuracy on held-out pairs",
      percent(before.accuracy),
      percent(after.accuracy),
      `${heldOutPairs} pairs, ties one half`,
    ],
    [
      "sentiment of fresh reviews",
      signed(sentiment.before),
      signed(sentiment.after),
      `${freshSamples} each, VADER's score from -1 to 1; ${signed(sentiment.difference)} ± ${sentiment.standardError.toFixed(2)}`,
    ],
    [
      "sequential KL, chosen",
      before.seqKlChosen.toFixed(2),
      after.seqKlChosen.toFixed(2),
      "nats per answer away from the base",
    ],
    [
      "sequential KL, rejected",
      before.seqKlRejected.toFixed(2),
      after.seqKlRejected.toFixed(2),
      `(at most ${targets.seqKl})`,
    ],
  ] as const;
  const lines = rows.map(
    ([name, first, second, comment]) =>
      `${name.padEnd(28)}${first.padStart(8)}${bold(second.padStart(10))}   ${dim(comment)}`,
  );
  const head = `${`after ${Math.round(seconds)} seconds`.padEnd(28)}${"before".padStart(8)}${"after".padStart(10)}`;
  return [bold(head), ...lines].join("\n");
}

function reviews({ opening, before, after }: DemoExamples, { bold, dim }: Colors): string {
  const some = (texts: readonly string[]) => texts.map((text) => `  ${dim(opening)}${oneLine(text)}`);
  return [bold("Before"), ...some(before), "", bold("After"), ...some(after)].join("\n");
}

/**
 * The first review after the alignment, its tokens coloured by how much the model's mind was
 * changed there.
 */
function divergences({ opening, tokens }: DemoExamples, { bold, dim, isColorSupported }: Colors): string {
  const pieces = tokens.map(({ text, divergence }) => ({ text: oneLine(text), value: divergence }));
  const most = Math.max(...pieces.map(({ value }) => value));
  const largest = pieces.toSorted((a, b) => b.value - a.value).slice(0, tokensNamed);
  return [
    bold("Where the model's mind was changed") + dim("  KL(base || aligned) at each token of that review, in nats"),
    ...(isColorSupported ? [`  ${dim(opening)}${heatText(pieces, most)}`] : []),
    `  ${largest.map(({ text, value }) => `${quoted(text.trim())} ${value.toFixed(2)}`).join("  ")}`,
  ].join("\n");
}

function next({ run }: DemoFigures): string {
  return `  ${run} holds the model, the recipe and metrics.jsonl. Try:

  npx tokenwise generate ${run} --prompt "This movie is" --samples 5
  npx tokenwise evaluate ${run} --samples 5
  npx tokenwise init path/to/your/model your-pairs.jsonl`;
}

function oneLine(text: string): string {
  return withoutControls(text.replace(/\s*\n\s*/g, " "));
}
