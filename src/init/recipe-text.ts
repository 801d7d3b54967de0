import { stringify } from "yaml";
import { forms } from "../data/forms/index.ts";
import type { ObjectiveDefinition } from "../objectives/define.ts";
import { type ObjectiveName, objectiveNamed, objectives } from "../objectives/index.ts";
import { oneLine, shortened } from "../one-line.ts";
import { counted, grouped, mebibytes, millions, percent } from "../words.ts";
import { proposedLora } from "./adapter.ts";
import { type Choices, learningRateFor } from "./choose.ts";
import type { DataFindings, ModelFindings } from "./inspect.ts";
import { limitedLength, spreadOf } from "./lengths.ts";

/** The findings and choices that a recipe is written from. */
export interface Fitting {
  readonly model: ModelFindings;
  readonly data: DataFindings;
  readonly objective: ObjectiveName;
  readonly choices: Choices;
  /** The memory of the machine that it is to run on. */
  readonly machineBytes: number;
  /** The run's folder. */
  readonly output: string;
}

/**
 * The YAML text of a recipe: the settings that matter with what was found for them, then others to
 * uncomment.
 */
export function recipeText(fitting: Fitting): string {
  const { model, objective, choices, output } = fitting;
  const stands = `${describeModel(model)}, context of ${grouped(model.configuration.contextLength)} tokens`;
  const sections = [
    [
      ...comment(
        "For `tokenwise train`, fitted to the model and the data by `tokenwise init`: change what you know better.",
      ),
      ...setting("model", scalar(model.path), stands),
      ...setting("output", scalar(output), "the run's folder"),
    ],
    dataLines(fitting),
    objectiveLines(fitting),
    [
      ...loraLines(fitting),
      ...setting("learningRate", choices.learningRate, learningRateReason(fitting)),
      ...(choices.warmupSteps > 0
        ? setting("warmupSteps", choices.warmupSteps, "about a tenth of the run, so that the first steps do no harm")
        : []),
      ...scheduleLines(choices),
      ...setting("batchSize", choices.batchSize, `${counted(stepsPerEpoch(choices), "step")} an epoch`),
      ...setting("epochs", choices.epochs, `${counted(choices.totalSteps, "step")} in all`),
      ...setting("microbatch", `{ tokens: ${choices.microbatchTokens} }`, microbatchReason(fitting)),
    ],
    watchLines(fitting),
    furtherLines(objective),
  ];
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

/** Optimizer steps in which every training example is seen once. */
export function stepsPerEpoch({ trainExamples, batchSize }: Choices): number {
  return Math.ceil(trainExamples / batchSize);
}

/** A text as YAML has it on one line: quoted only where it must be. */
export function scalar(text: string): string {
  // Only the line break goes: other white space at the end belongs to the text.
  const plain = stringify(text, { lineWidth: 0 }).replace(/\n$/, "");
  return plain.includes("\n") ? JSON.stringify(text) : plain;
}

/** A model in words: its architecture and size, below an adapter where the folder holds one. */
export function describeModel({ configuration, parameters, adapter }: ModelFindings): string {
  const size = `${configuration.family}, ${millions(parameters)} parameters`;
  if (adapter.base === undefined) return size;
  return `an adapter of ${millions(adapter.parameters)} numbers on ${adapter.base}, ${size}`;
}

/** The usable records in words. */
export function describeRecords({ form, records, prompts }: DataFindings): string {
  const items = counted(records, form.item, form.items);
  return form.hasPrompts ? `${items}, ${counted(prompts, "different prompt")}` : items;
}

/** The number of bad records, and the first of them. */
export function describeSkipped({ skipped, records }: DataFindings): string {
  const [{ file, line, reason }] = skipped as [DataFindings["skipped"][number]];
  const of = `${grouped(skipped.length)} of ${counted(records + skipped.length, "record")}`;
  return `${of} cannot be used, the first at ${file}:${line}: ${reason}`;
}

/** In how many pairs both answers begin with the prompt, and what is done about it. */
export function describeRepeatedPrompts({ repeatedPrompts, records }: DataFindings): string {
  return `both answers begin with the prompt in ${grouped(repeatedPrompts)} of ${counted(records, "pair")}: taken off`;
}

function dataLines(fitting: Fitting): string[] {
  const { data, choices } = fitting;
  const { heldOut, lengths } = choices;
  const { files, columns, form, skipped } = data;
  const named = Object.entries(columns).filter(([, name]) => name !== undefined);
  const what = describeRecords(data);
  return [
    "data:",
    ...indented([
      ...(files.length === 1
        ? setting("train", scalar(files[0]!), what)
        : [...setting("train", "", what), ...files.map((file) => `  - ${scalar(file)}`)]),
      ...(form.name === forms[0].name ? [] : setting("format", form.name, form.summary)),
      ...(named.length > 0 ? ["columns:", ...named.map(([key, name]) => `  ${key}: ${scalar(name!)}`)] : []),
      ...heldOutLines(data, heldOut),
      ...(skipped.length > 0 ? setting("onBadPair", "skip", describeSkipped(data)) : []),
      ...(data.repeatedPrompts > 0 ? setting("repeatedPrompt", "strip", describeRepeatedPrompts(data)) : []),
      ...setting("maxLength", lengths.maxLength, lengthReason(fitting)),
      ...(lengths.pack ? setting("pack", true, "texts are joined and divided into windows, so nothing is cut") : []),
      ...(lengths.shareCut > 0 && form.hasPrompts
        ? [
            ...setting(
              "maxPromptLength",
              lengths.maxPromptLength,
              "what the prompt of a pair that is cut keeps at least",
            ),
            ...comment(
              "truncation: keep_start # cut prompts at their end, instead of keeping what is next to the answer",
            ),
          ]
        : []),
      ...(form.packs && !lengths.pack ? comment("pack: true # join texts instead of learning each on its own") : []),
    ]),
  ];
}

function heldOutLines(
  { form, prompts, records }: DataFindings,
  { heldOut, records: held }: Choices["heldOut"],
): string[] {
  if (heldOut === 0) {
    const few = !form.hasPrompts
      ? `one ${form.item}`
      : `${counted(records, form.item, form.items)} with ${counted(prompts, "prompt")}`;
    return comment(`evaluation: other.jsonl # a file to evaluate on; nothing is held out of ${few}`);
  }
  const share = `about ${percent(held / records)}, for evaluation`;
  if (!form.hasPrompts) return setting("heldOut", heldOut, share);
  const more = held > heldOut ? `; ${grouped(held)} in fact, ` : ", ";
  return setting("heldOut", heldOut, `${share}${more}split off by prompt`);
}

function lengthReason({ model, data, objective, choices: { lengths } }: Fitting): string {
  const { examples, records, form } = data;
  const { maxLength, pack, shareCut } = lengths;
  if (pack) return "tokens of a window";
  const sampled = examples.length < records;
  if (shareCut === 0) {
    const what = form.hasPrompts && objective === "sft" ? "prompt with its answer" : form.item;
    const of = sampled ? ` of ${grouped(examples.length)} sampled` : "";
    return `the longest ${what}${of} has ${counted(spreadOf(examples.map(limitedLength)).longest, "token")}`;
  }
  const context = maxLength === model.configuration.contextLength ? "the model's context; " : "";
  const number = `${sampled ? "about " : ""}${grouped(shareCut * records)} of ${grouped(records)}`;
  return `${context}covers ${percent(1 - shareCut)}: ${number} ${form.items} will be cut`;
}

function objectiveLines({ model, objective, data, choices }: Fitting): string[] {
  if (!data.form.responses.includes(2)) return setting("objective", flow(objectiveNamed("sft").proposed), "supervised");
  const proposed = objectiveNamed(objective);
  const others = usual.filter((name) => name !== objective).map(objectiveNamed);
  const other = ({ name, proposed, summary }: ObjectiveDefinition) => {
    const adapter = choices.training.what !== "whole model";
    const rate = learningRateFor(model.parameters, { supervised: name === "sft", adapter });
    const otherRate = rate === choices.learningRate ? "" : `; wants a learningRate of ${rate}`;
    return `objective: ${flow(proposed)} # ${summary}${otherRate}`;
  };
  return [
    ...setting("objective", flow(proposed.proposed), proposed.summary),
    ...weightLines(objective),
    ...others.flatMap((name) => comment(other(name))),
    ...comment(`or one of ${objectives.length} in all; README.md lists them, docs/recipes.md their settings`),
  ];
}

/** The objectives that a proposal shows beside its own. */
const usual: readonly ObjectiveName[] = ["sft", "dpo", "ipo", "simpo", "orpo", "tdpo1", "tdpo2"];

function needsWeights(name: ObjectiveName): boolean {
  return objectiveNamed(name).create().weights === "required";
}

function weightLines(objective: ObjectiveName): string[] {
  const from = "weights: { from: dpo }";
  if (needsWeights(objective))
    return setting("weights", "{ from: dpo }", "trains both contrastive models first; or sft, prompts, models, file");
  if (objective === "sft") return [];
  return comment(
    `${from} # importance weights of tokens, from two models that are trained first; with dpo this is tis-dpo`,
  );
}

/** Settings on one line. */
function flow(settings: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(settings).map(([key, value]) => `${key}: ${value}`);
  return `{ ${pairs.join(", ")} }`;
}

function loraLines({ model, objective, choices: { training }, machineBytes }: Fitting): string[] {
  const { parameters, adapter } = model;
  const proposed = `lora: ${flow(proposedLora)}`;
  const numbers = `${millions(adapter.parameters)} numbers`;
  switch (training.what) {
    case "stored adapter":
      return comment("lora: { base: int4 } # keeps the model below the adapter in 4 bits; the adapter stays as it is");
    case "new adapter": {
      const [needed, present] = [training.bytes.whole, machineBytes].map(mebibytes);
      const reason = `to train the whole model would take about ${needed}, more than this machine's ${present}`;
      return [
        ...comment(`An adapter of ${numbers} on the frozen model: ${reason}.`),
        ...setting("lora", flow(proposedLora), "with base: int4 the frozen model is kept in 4 bits"),
      ];
    }
    case "whole model": {
      const rate = learningRateFor(parameters, { supervised: objective === "sft", adapter: true });
      const instead = `trains an adapter of ${numbers} instead of the whole model`;
      const wants = `takes about ${mebibytes(training.bytes.adapter)}, and wants a learningRate of ${rate}`;
      return comment(`${proposed} # ${instead}; ${wants}`);
    }
  }
}

function learningRateReason({ model: { parameters }, choices: { training } }: Fitting): string {
  const usual = `usual for training all of ${millions(parameters)} parameters`;
  const what = training.what === "whole model" ? usual : `for an adapter, ten times what is ${usual}`;
  return `${what}; the first setting to vary`;
}

function scheduleLines({ schedule }: Choices): string[] {
  return schedule === "constant"
    ? setting("schedule", schedule, "as in the papers of DPO and TDPO; or cosine")
    : setting("schedule", schedule, "falls to zero towards the end; or constant");
}

function microbatchReason({ data, objective, choices: { lengths } }: Fitting): string {
  const what = !data.form.hasPrompts ? data.form.item : `prompt with its answer${objective === "sft" ? "" : "s"}`;
  return `computed at once, which decides the memory; the longest ${lengths.pack ? "window" : what} takes ${grouped(spreadOf(lengths.sizes).longest)}`;
}

function watchLines({ data, choices: { heldOut, evaluationSteps, checkpointSteps } }: Fitting): string[] {
  const checkpoints = setting("checkpoints", `{ everySteps: ${checkpointSteps} }`, "to resume from");
  if (heldOut.heldOut === 0) return checkpoints;
  const steps = `everySteps: ${evaluationSteps}`;
  return [
    ...(data.form.hasPrompts
      ? setting(
          "evaluation",
          `{ ${steps}, samples: 1 }`,
          "on what is held out; an answer to 8 of its prompts each time",
        )
      : setting("evaluation", `{ ${steps} }`, "on what is held out")),
    ...checkpoints,
  ];
}

function furtherLines(objective: ObjectiveName): string[] {
  const further = [
    "Further settings, to uncomment; all are in docs/recipes.md:",
    "seed: 1 # another split and another order of the data",
    "optimizer: { name: rmsprop } # as in the paper of TDPO: one number per weight instead of AdamW's two",
    "maxGradientNorm: 1 # gradients are cut to this length instead of 10",
    "activationCheckpointing: true # less memory, about an eighth slower",
    "threads: 2 # instead of all cores",
    "dtype: bfloat16 # stores the trained model in half the space, and rounds small changes away",
  ];
  const reference = "reference: path/to/model # compare with another model than the one the run starts from";
  return (objective === "sft" ? further : [...further, reference]).flatMap(comment);
}

/** A line of the recipe with what is to be said of it. */
function setting(key: string, value: string | number | boolean, what: string): string[] {
  return [`${key}:${value === "" ? "" : ` ${value}`} # ${inComment(what)}`];
}

function comment(text: string): string[] {
  return [`# ${inComment(text)}`];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

/** A comment ends with its line; what comes from the user's files may hold more, and anything. */
function inComment(text: string): string {
  return oneLine(shortened(text, 300));
}
