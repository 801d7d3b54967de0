import { existsSync } from "node:fs";
import type { TokenizedExample } from "../data/example.ts";
import { type DataSettings, prepareExamples } from "../data/prepare.ts";
import { UserError } from "../errors.ts";
import type { ObjectiveOptions } from "../objectives/index.ts";
import { recipeSchema } from "../recipe/schema.ts";
import { vocabularyDifference } from "../storage/vocabulary.ts";
import { isOverPairs } from "./objective.ts";
import type { Subject } from "./subject.ts";

/**
 * The examples to evaluate on. Options that are absent are as the first run over pairs recorded
 * them.
 */
export interface HeldOutOptions {
  /** Files of pairs, instead of what the runs held out. */
  readonly data?: readonly string[] | undefined;
  /** At most so many examples; of given files all by default. */
  readonly examples?: number | undefined;
  readonly onBadPair?: "error" | "skip" | undefined;
  /** Other names of columns of the data. */
  readonly columns?: DataSettings["data"]["columns"] | undefined;
  /** Tokens of prompt and longer answer together. */
  readonly maxLength?: number | undefined;
  /** Tokens that a prompt keeps at least when a pair must be cut. */
  readonly maxPromptLength?: number | undefined;
}

/** The examples that all subjects are evaluated on. */
export interface HeldOut {
  readonly examples: readonly TokenizedExample[];
  /**
   * Undefined for pairs; otherwise the objective of the supervised training that held these answers
   * or texts out.
   */
  readonly supervised: ObjectiveOptions | undefined;
}

/**
 * Reads the examples, once for each subject, and makes sure that they are the same to all.
 *
 * @throws UserError where there are none, or subjects see different ones: other tokenizers, other
 * held-out splits.
 */
export async function readHeldOut(
  subjects: readonly Subject[],
  options: HeldOutOptions,
  reporter: { note(message: string): void; warn(message: string): void },
): Promise<HeldOut> {
  const source =
    subjects.find(({ recipe }) => recipe && isOverPairs(recipe.objective)) ?? subjects.find(({ recipe }) => recipe);
  const supervised =
    !options.data && source?.recipe && !isOverPairs(source.recipe.objective) ? source.recipe.objective : undefined;
  const responses = supervised ? 1 : 2;
  const contextLength = Math.min(...subjects.map(({ folder }) => folder.configuration.contextLength));
  let common: readonly TokenizedExample[] | undefined;
  for (const subject of subjects) {
    const { recipe, folder, tokenizer } = subject;
    const holdsOutTheSame = recipe && isOverPairs(recipe.objective) === (supervised === undefined);
    const recorded = options.data
      ? settingsForFiles(source?.recipe, options.data)
      : recordedSettings(holdsOutTheSame ? subject : source, subjects[0]!);
    const { vocabularySize, shortContextLength } = folder.configuration;
    const limits = { contextLength, vocabularySize, shortContextLength };
    const settings = withChanges(recorded, options);
    const prepared = await prepareExamples(settings, responses, tokenizer, limits, {
      heldOutOnly: true,
      ...(options.data && { heldOutName: "given" }),
    });
    const examples = prepared.heldOut.slice(0, settings.evaluation.examples);
    if (common) await checkSame(subjects[0]!, common, subject, examples);
    else {
      for (const note of prepared.notes) reporter.note(note);
      for (const warning of prepared.warnings) reporter.warn(warning);
      common = examples;
    }
  }
  return { examples: common!, supervised };
}

function withChanges({ seed, data, evaluation }: DataSettings, options: HeldOutOptions): DataSettings {
  const { examples = evaluation.examples, onBadPair = data.onBadPair } = options;
  const { maxLength = data.maxLength, maxPromptLength = data.maxPromptLength } = options;
  const columns = { ...data.columns, ...options.columns };
  const changed = { ...data, columns, onBadPair, maxLength, maxPromptLength };
  return { seed, data: changed, evaluation: { ...evaluation, examples } };
}

/** The recorded settings of a run that held something out. */
function recordedSettings(subject: Subject | undefined, first: Subject): DataSettings {
  const hint = "give pairs with `data`";
  if (!subject?.recipe) throw new UserError("a model folder brings no data", { file: first.name, hint });
  const { data, seed, evaluation } = subject.recipe;
  if (!data.evaluation && data.heldOut === 0)
    throw new UserError("the run held nothing out", { file: subject.name, hint });
  const missing = [data.evaluation ?? data.train].flat().find((file) => !existsSync(file));
  if (missing === undefined) return { data, seed, evaluation };
  throw new UserError(`the data that it was evaluated on, ${missing}, is not there`, {
    file: subject.name,
    hint: `${hint}; recorded paths begin where the training was started`,
  });
}

/** All pairs of the given files, with the recorded columns and limits of a run over pairs. */
function settingsForFiles(recipe: DataSettings | undefined, files: readonly string[]): DataSettings {
  const recorded = recipe?.data.format === "pairs" ? recipe.data : undefined;
  const data = recorded ?? recipeSchema.shape.data.parse({ train: [...files] });
  return {
    seed: 0,
    data: { ...data, train: [...files], evaluation: [...files], heldOut: 0 },
    evaluation: { examples: Number.POSITIVE_INFINITY },
  };
}

async function checkSame(
  first: Subject,
  expected: readonly TokenizedExample[],
  subject: Subject,
  found: readonly TokenizedExample[],
): Promise<void> {
  const places = ({ place }: TokenizedExample) => place && `${place.file}:${place.line}`;
  const size = subject.folder.configuration.vocabularySize;
  const expectedSize = first.folder.configuration.vocabularySize;
  if (size !== expectedSize) {
    const problem = `its vocabulary has ${size} tokens, that of ${first.name} ${expectedSize}`;
    throw new UserError(problem, { file: subject.name, hint: "evaluate them apart: their figures cannot be compared" });
  }
  if (
    found.length !== expected.length ||
    found.some((example, index) => places(example) !== places(expected[index]!))
  ) {
    throw new UserError(`the run held out other examples than ${first.name}`, {
      file: subject.name,
      hint: "give pairs for all with `data`",
    });
  }
  const other = found.find((example, index) => tokensOf(example) !== tokensOf(expected[index]!));
  if (other) {
    throw new UserError(`reads ${places(other) ?? "a text"} as other tokens than ${first.name}`, {
      file: subject.name,
      hint: "models with different tokenizers, or runs with different limits, can only be evaluated apart",
    });
  }
  const difference = await vocabularyDifference(first.folder.tokenizerFolder, subject.folder.tokenizerFolder);
  if (difference !== undefined) {
    const problem = `means other tokens by the same ids than ${first.name}: ${difference}`;
    throw new UserError(problem, { file: subject.name, hint: "evaluate them apart: their figures cannot be compared" });
  }
}

function tokensOf({ prompt, responses }: TokenizedExample): string {
  return [prompt, ...responses].join(" | ");
}
