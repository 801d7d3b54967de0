import { z } from "zod";
import { expandHome, pathProblem } from "../files/user-path.ts";

/** A file or folder; `~/` is the home folder. */
export const path = z.string().min(1).transform(meant);

/** A file, or several. */
export const files = z
  .union([z.string().min(1), z.array(z.string().min(1)).min(1)], "must be a text or a list of texts")
  .transform((given, context) =>
    typeof given === "string" ? meant(given, context) : given.map((one) => meant(one, context)),
  );

function meant(text: string, { issues }: Pick<z.core.$RefinementCtx, "issues">): string {
  const { problem, hint } = pathProblem(text) ?? {};
  if (problem !== undefined) issues.push({ code: "custom", message: problem, input: text, params: { hint } });
  return expandHome(text);
}
