import { totalmem } from "node:os";
import type { SkippedRecord } from "../data/convert.ts";
import type { Dtype } from "../number-formats.ts";
import type { MemoryEstimate } from "../train/memory.ts";
import { counted, grouped, mebibytes, millions, percent } from "../words.ts";
import { type LengthBias, lengthBias, type Spread, spreadOf } from "./lengths.ts";
import type { Proposal } from "./propose.ts";
import { describeRecords, describeSkipped, stepsPerEpoch } from "./recipe-text.ts";

const dtypeNames: Partial<Record<Dtype, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  F64: "float64",
};

const listedReasons = 3;

/** What was found and what is proposed, in a few lines: the model, the data, the length of the run, and its memory. */
export function summarizeProposal(proposal: Proposal, machineBytes = totalmem()): string {
  const { choices, objective, memory } = proposal;
  const epochs = choices.epochs === 1 ? "one epoch" : `${choices.epochs} epochs`;
  const about = choices.lengths.pack ? "about " : "";
  return [
    `model: ${describeModel(proposal)}`,
    `data: ${[describeRecords(proposal.data), ...oddities(proposal)].join("\n  ")}`,
    ...describeLengths(proposal).map((line) => `  ${line}`),
    `training: ${objective}, ${about}${counted(stepsPerEpoch(choices), "step")} of ${choices.batchSize} an epoch; ${epochs} proposed`,
    `memory: ${describeMemory(memory)}`,
    ...(memory.total > machineBytes
      ? [
          `  more than this machine's ${mebibytes(machineBytes)}: try activationCheckpointing, rmsprop, or a smaller model`,
        ]
      : []),
  ].join("\n");
}

function describeModel({ model: { configuration, parameters, dtypes, path } }: Proposal): string {
  const stored = dtypes.map((dtype) => dtypeNames[dtype] ?? dtype).join(" and ");
  const { architecture, contextLength, vocabularySize } = configuration;
  const sizes = `context of ${grouped(contextLength)} tokens, vocabulary of ${grouped(vocabularySize)}`;
  return `${path}, ${architecture}, ${millions(parameters)} parameters in ${stored}, ${sizes}`;
}

/** What is strange about the data, if anything. */
function oddities({ data, choices: { lengths } }: Proposal): string[] {
  const { duplicates, multiTurnAnswers, identicalAfterTokenizing, examples, records, skipped } = data;
  return [
    skipped.length > 0 && describeSkipped(data),
    ...commonReasons(skipped),
    duplicates > 0 && counted(duplicates, "record repeats an earlier one", "records repeat an earlier one"),
    multiTurnAnswers > 0 && `${counted(multiTurnAnswers, "pair")} with further turns in an answer`,
    identicalAfterTokenizing > 0 &&
      `${counted(identicalAfterTokenizing, "pair")} with two answers of the same tokens, which teach nothing`,
    examples.length < records && `lengths below are of ${grouped(examples.length)} records, evenly spread`,
    lengths.shareCut > 0 && `${percent(lengths.shareCut)} will be cut to ${grouped(lengths.maxLength)} tokens`,
  ].filter((line) => line !== false);
}

/** Why records were left out, where several reasons hold for several each. */
function commonReasons(skipped: readonly SkippedRecord[]): string[] {
  const counts = new Map<string, number>();
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  if (counts.size < 2) return [];
  const common = [...counts].filter(([, count]) => count > 1).sort(([, a], [, b]) => b - a);
  return common.slice(0, listedReasons).map(([reason, count]) => `${grouped(count)} of them because ${reason}`);
}

function describeLengths({ data: { examples, format } }: Proposal): string[] {
  const responses = spreadOf(examples.flatMap((example) => example.responses.map(({ length }) => length)));
  if (format === "text") return [`tokens of a text: ${describeSpread(responses)}`];
  const bias = lengthBias(examples);
  return [
    `tokens of a prompt: ${describeSpread(spreadOf(examples.map(({ prompt }) => prompt.length)))}`,
    `tokens of an answer: ${describeSpread(responses)}`,
    ...(bias ? [describeBias(bias)] : []),
  ];
}

function describeSpread({ median, percentile95, longest }: Spread): string {
  return `median ${grouped(median)}, 95 % up to ${grouped(percentile95)}, longest ${grouped(longest)}`;
}

function describeBias({ chosen, rejected, chosenLonger, systematic }: LengthBias): string {
  const means = `mean ${chosen.toFixed(0)} tokens, rejected ${rejected.toFixed(0)}`;
  const warning = chosenLonger > 0.5 ? "longer" : "shorter";
  const lesson = systematic ? `: the model may learn just to answer ${warning}` : "";
  return `chosen answers are the longer ones in ${percent(chosenLonger)} of the pairs (${means})${lesson}`;
}

function describeMemory({ total, ...parts }: MemoryEstimate): string {
  const named = Object.entries(parts).filter(([, bytes]) => bytes > 0);
  const list = named.map(([part, bytes]) => `${part} ${mebibytes(bytes)}`).join(", ");
  return `about ${mebibytes(total)} while training, as an estimate (${list})`;
}
