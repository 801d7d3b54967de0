import type { SkippedRecord } from "../data/files/convert.ts";
import { showExample } from "../data/shown-example.ts";
import type { Dtype } from "../number-formats.ts";
import { oneLine, shortened } from "../one-line.ts";
import { counted, grouped, mebibytes, millions, percent } from "../words.ts";
import { type LengthBias, lengthBias, type Spread, spreadOf } from "./lengths.ts";
import type { Proposal } from "./propose.ts";
import {
  describeModel,
  describeRecords,
  describeRepeatedPrompts,
  describeSkipped,
  stepsPerEpoch,
} from "./recipe-text.ts";

const dtypeNames: Partial<Record<Dtype, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  F64: "float64",
};

const listedReasons = 3;
const listedColumns = 10;

/**
 * The findings and the proposal in a few lines: the model, the data, the length of the run, and its
 * memory.
 */
export function summarizeProposal(proposal: Proposal): string {
  const { choices, objective } = proposal;
  const epochs = choices.epochs === 1 ? "one epoch" : `${choices.epochs} epochs`;
  const about = choices.lengths.pack ? "about " : "";
  return [
    `model: ${describeFolder(proposal)}`,
    `data: ${[describeRecords(proposal.data), ...oddities(proposal)].join("\n  ")}`,
    ...describeLengths(proposal).map((line) => `  ${line}`),
    ...firstExample(proposal),
    `training: ${objective}${trained(proposal)}, ${about}${counted(stepsPerEpoch(choices), "step")} of ${choices.batchSize} an epoch; ${epochs} proposed`,
    ...memoryLines(proposal),
  ].join("\n");
}

function firstExample({ model, data: { examples } }: Proposal): string[] {
  return examples[0] ? [showExample(examples[0], model.tokenizer)] : [];
}

function describeFolder({ model }: Proposal): string {
  const { configuration, dtypes, path } = model;
  const stored = dtypes.map((dtype) => dtypeNames[dtype] ?? dtype).join(" and ");
  const { contextLength, vocabularySize } = configuration;
  const sizes = `context of ${grouped(contextLength)} tokens, vocabulary of ${grouped(vocabularySize)}`;
  return `${path}, ${describeModel(model)} in ${stored}, ${sizes}`;
}

function trained({ model, choices: { training } }: Proposal): string {
  if (training.what === "whole model") return "";
  const which = training.what === "new adapter" ? "a new adapter (lora)" : "the adapter";
  return ` of ${which} with ${millions(model.adapter.parameters)} numbers`;
}

/** Sentences about strange properties of the data. */
function oddities({ data, choices: { lengths } }: Proposal): string[] {
  const { duplicates, multiTurnAnswers, identicalAfterTokenizing, examples, records, skipped } = data;
  const { repeatedPrompts, contradictions, unusedColumns } = data;
  const names = unusedColumns.slice(0, listedColumns).map((name) => `\`${oneLine(shortened(name, 60))}\``);
  if (unusedColumns.length > listedColumns) names.push(`${grouped(unusedColumns.length - listedColumns)} more`);
  return [
    skipped.length > 0 && describeSkipped(data),
    ...commonReasons(skipped),
    duplicates > 0 && counted(duplicates, "record repeats an earlier one", "records repeat an earlier one"),
    contradictions > 0 &&
      `${counted(contradictions, "pair contradicts", "pairs contradict")} an earlier one: the answers are swapped`,
    repeatedPrompts > 0 && describeRepeatedPrompts(data),
    names.length > 0 && `columns that are not read: ${names.join(", ")}`,
    multiTurnAnswers > 0 && `${counted(multiTurnAnswers, "pair")} with further turns in an answer`,
    identicalAfterTokenizing > 0 &&
      `${counted(identicalAfterTokenizing, "pair")} with two answers of the same tokens, which are left out`,
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

function describeLengths({ data: { examples, form } }: Proposal): string[] {
  const responses = spreadOf(examples.flatMap((example) => example.responses.map(({ length }) => length)));
  if (!form.hasPrompts) return [`tokens of a ${form.item}: ${describeSpread(responses)}`];
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

function memoryLines({ choices: { training }, machineBytes }: Proposal): string[] {
  const { total, ...parts } = training.memory;
  const named = Object.entries(parts).filter(([, bytes]) => bytes > 0);
  const list = named.map(([part, bytes]) => `${part} ${mebibytes(bytes)}`).join(", ");
  const tooMuch = `more than this machine's ${mebibytes(machineBytes)}`;
  return [
    `memory: about ${mebibytes(total)} while training, as an estimate (${list})`,
    ...(total > machineBytes
      ? [`  ${tooMuch}: try activationCheckpointing, or lower microbatch.tokens or data.maxLength`]
      : training.what === "new adapter"
        ? [`  training the whole model would take about ${mebibytes(training.bytes.whole)}, ${tooMuch}`]
        : []),
  ];
}
