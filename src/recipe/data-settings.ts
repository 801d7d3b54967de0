import { z } from "zod";
import { type ColumnName, columnsOfForms, forms } from "../data/forms/index.ts";
import { count, nonnegative } from "../numbers.ts";
import { files } from "./path-settings.ts";

const columnName = (what: string) => z.string().optional().describe(`the column with the ${what}`);
const columns = Object.fromEntries(
  Object.entries(columnsOfForms()).map(([name, what]) => [name, columnName(what)]),
) as Record<ColumnName, ReturnType<typeof columnName>>;

/** The settings of a recipe that say which examples there are. */
export const dataSettings = z.strictObject({
  train: files.describe("training data: JSON Lines, JSON or Parquet files; also packed with gzip"),
  evaluation: files.optional().describe("held-out data in files of their own, instead of `heldOut`"),
  heldOut: nonnegative(1e9)
    .refine((value) => value < 1 || Number.isInteger(value), "must be a count, or a share below 1")
    .default(0)
    .describe("examples held out of `train`, by prompt: a count, or a share below 1"),
  format: z
    .enum(forms.map(({ name }) => name))
    .default(forms[0].name)
    .describe(forms.map(({ summary }) => summary).join(", or ")),
  columns: z
    .strictObject(columns)
    .default({})
    .describe("other names of columns; by default a column has the name of its key"),
  onBadPair: z
    .enum(["error", "skip"])
    .default("error")
    .describe("a record that cannot be used ends the run, or is skipped, listed and counted"),
  repeatedPrompt: z
    .enum(["keep", "strip"])
    .default("keep")
    .describe("where both answers begin with the prompt: leave it there with a warning, or take it off both"),
  template: z
    .string()
    .min(1)
    .optional()
    .describe(
      "the chat template for conversations: the name of one of the model's, or `chatml`, a plain one; " +
        "by default the model's own. Where it is set, texts become turns, too",
    ),
  specialTokens: z
    .enum(["token", "text", "error"])
    .default("token")
    .describe(
      "special tokens that a text spells out: tokens with a warning (as transformers), plain text, or an error",
    ),
  limit: count().optional().describe("read at most so many pairs or texts of `train`, from its beginning"),
  maxLength: count()
    .optional()
    .describe(
      "tokens of the prompt and the longer answer together; 512, or less if the model's context is shorter. " +
        "What is longer is cut and counted: the prompt first, then the ends of the answers",
    ),
  maxPromptLength: count()
    .optional()
    .describe("tokens that a prompt keeps at least when a pair is cut; half of `maxLength`"),
  truncation: z.enum(["keep_end", "keep_start"]).default("keep_end").describe("which end of a prompt stays"),
  pack: z.boolean().default(false).describe("join texts and divide them into windows of `maxLength`"),
});
