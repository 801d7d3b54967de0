import { UserError } from "../../errors.ts";
import { columnValue } from "../files/convert.ts";
import type { Fields, RecordPlace } from "../files/read.ts";

/**
 * Refuses records of well-known forms that are no pairs of texts, with advice that fits them: a
 * file of them is the wrong file, so leaving out its records one by one would help nobody.
 *
 * @param columns the names of the columns of prompt, chosen and rejected answer
 * @throws UserError for single answers with votes.
 */
export function refuseOtherForms(fields: Fields, columns: readonly string[], place: RecordPlace): void {
  const [, chosen, rejected] = columns;
  if (Object.hasOwn(fields, chosen!) || Object.hasOwn(fields, rejected!)) return;
  const vote = ["label", "labels", "vote"].find((name) => typeof columnValue(fields, name) === "boolean");
  const answer = ["completion", "response", "answer"].find((name) => columnValue(fields, name) !== undefined);
  if (vote === undefined || answer === undefined) return;
  throw new UserError(`holds single answers with votes (\`${answer}\`, \`${vote}\`), but pairs of answers are needed`, {
    ...place,
    hint: `put an answer that was liked and one that was not, to the same prompt, into one record: {"${columns.join('", "')}"}`,
  });
}
