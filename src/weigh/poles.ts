import { join } from "node:path";
import type { TokenizedExample } from "../data/example.ts";
import { checkShortContext } from "../data/short-context.ts";
import { encodePrompts } from "../data/tokens/boundaries.ts";
import type { Tokenizer } from "../data/tokens/tokenizer.ts";
import type { SpecialTokensSetting } from "../data/written-tokens.ts";
import { UserError } from "../errors.ts";
import { fillTemplate, promptTemplates } from "../importance/prompt-templates.ts";
import type { StartingPoint } from "../runs/starting-point.ts";
import { contrastiveFolder, type WeightedRecipe } from "../runs/token-weights.ts";
import { type ModelFolder, modelPath, openModelFolder } from "../storage/folder.ts";
import { vocabularyDifference } from "../storage/vocabulary.ts";

/** π⁺ prefers what the pairs prefer, π⁻ the opposite. */
export type Pole = "positive" | "negative";
export const poles: readonly Pole[] = ["positive", "negative"];

/** A model folder under one of the poles, and what it makes of a prompt. */
export interface PoleModel {
  readonly folder: ModelFolder;
  readonly template: string | undefined;
}

/**
 * The model of a pole, which must mean the same tokens as the model to train.
 *
 * @throws UserError for a folder that holds none, or one of another vocabulary or tokenizer.
 */
export async function openPole(recipe: WeightedRecipe, pole: Pole, start: StartingPoint): Promise<PoleModel> {
  const { weights } = recipe;
  if (weights.from === "prompts") {
    return { folder: await openModelFolder(modelPath(recipe.model!)), template: promptTemplates(weights)[pole] };
  }
  const given = weights.from === "models";
  const folder = await openModelFolder(modelPath(given ? weights[pole] : join(contrastiveFolder(recipe), pole)));
  const place = { file: folder.path, ...(given && { field: `weights.${pole}` }) };
  const { vocabularySize } = start.configuration;
  if (folder.configuration.vocabularySize !== vocabularySize) {
    const problem = `has a vocabulary of ${folder.configuration.vocabularySize} tokens, the model to train has ${vocabularySize}`;
    throw new UserError(problem, { ...place, hint: "contrastive models need the vocabulary of the model to train" });
  }
  const difference = await vocabularyDifference(start.tokenizerFolder, folder.tokenizerFolder);
  if (difference !== undefined) {
    const hint = "contrastive models need the tokenizer of the model to train";
    throw new UserError(`means other tokens by the same ids than the model to train: ${difference}`, {
      ...place,
      hint,
    });
  }
  return { folder, template: undefined };
}

/**
 * The examples with their prompts under an instruction; what follows the prompt stays token for
 * token.
 *
 * @throws UserError where that is longer than the model's context.
 */
export async function promptedExamples(
  examples: readonly TokenizedExample[],
  template: string | undefined,
  {
    tokenizer,
    configuration: { contextLength, shortContextLength },
  }: Pick<StartingPoint, "tokenizer" | "configuration">,
  specialTokens: SpecialTokensSetting,
): Promise<readonly TokenizedExample[]> {
  if (template === undefined) return examples;
  const texts = examples.map(({ prompt }) => fillTemplate(template, promptText(prompt, tokenizer)));
  // As the prompts were read themselves.
  const reading = specialTokens === "text" ? await tokenizer.readingSpecialTokensAsText() : tokenizer;
  const prompts = await encodePrompts(reading, texts);
  const prompted = examples.map((example, index) => ({ ...example, prompt: Int32Array.from(prompts[index]!) }));
  const added = Math.max(...prompted.map(({ prompt }, index) => prompt.length - examples[index]!.prompt.length));
  const tooLong = prompted.find((example) => lengthOf(example) > contextLength);
  if (!tooLong) {
    for (const example of prompted) checkShortContext(example, { shortContextLength });
    return prompted;
  }
  const problem = `with its instruction a pair has ${lengthOf(tooLong)} tokens, the model's context is ${contextLength}`;
  const fits = contextLength - added;
  const hint = fits > 1 ? `${fits} fits, or use a shorter instruction` : "use a shorter instruction";
  throw new UserError(problem, { field: "data.maxLength", hint });
}

function promptText(prompt: Int32Array, tokenizer: Tokenizer): string {
  // The start token is added again in front of the instruction; other special tokens are part of
  // the text.
  const own = tokenizer.addsBos && prompt[0] === tokenizer.bosId ? prompt.subarray(1) : prompt;
  return tokenizer.decode(own, { skipSpecialTokens: false });
}

function lengthOf({ prompt, responses }: TokenizedExample): number {
  return prompt.length + Math.max(...responses.map(({ length }) => length));
}
