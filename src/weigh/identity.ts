import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { TokenizedExample } from "../data/example.ts";
import { hashArrays, tokensOf } from "../data/fingerprint.ts";
import { UserError } from "../errors.ts";
import { type EstimatesIdentity, openEstimates } from "../importance/estimates-file.ts";
import { EstimatesWriter } from "../importance/estimates-writer.ts";
import { modelFingerprint, tokenizerFingerprint } from "../storage/fingerprint.ts";
import { type Pole, type PoleModel, poles } from "./poles.ts";

/**
 * The inputs of estimates.
 *
 * @throws UserError where both poles are the same, so that no token would differ from another.
 */
export async function identityOf(
  from: string,
  models: Readonly<Record<Pole, PoleModel>>,
  tokenizerFolder: string,
  examples: readonly TokenizedExample[],
): Promise<EstimatesIdentity> {
  const identity: Record<string, string> = {
    from,
    tokenizer: await tokenizerFingerprint(tokenizerFolder),
    data: hashArrays(examples.flatMap(tokensOf)).toString("hex"),
  };
  for (const pole of poles) {
    const { folder, template } = models[pole];
    identity[`${pole}_model`] = await modelFingerprint(folder);
    if (template !== undefined) identity[`${pole}_template`] = template;
  }
  const same = (what: string) => identity[`positive_${what}`] === identity[`negative_${what}`];
  if (same("model") && same("template")) {
    const hint = "weights come from where two models, or one under two instructions, differ";
    throw new UserError("both contrastive models are the same", { field: "weights", hint });
  }
  return identity;
}

/**
 * True if a file holds these estimates. One that cannot be read, because it was cut off or of
 * another version, is made again.
 */
export async function isEstimateOf(identity: EstimatesIdentity, file: string): Promise<boolean> {
  const found = existsSync(file) && (await openEstimates(file).catch(onlyUserErrors));
  return found ? Object.entries(identity).every(([key, value]) => found.identity[key] === value) : false;
}

/** Continues unfinished estimates; those of other inputs are of no use, and are begun again. */
export async function continueEstimates(
  file: string,
  identity: EstimatesIdentity,
  pairs: number,
  note: (message: string) => void,
): Promise<EstimatesWriter> {
  const writer = await EstimatesWriter.open(file, identity, pairs).catch(onlyUserErrors);
  if (writer) return writer;
  note("unfinished estimates of other inputs are begun again");
  await rm(`${file}.partial`, { force: true });
  return EstimatesWriter.open(file, identity, pairs);
}

function onlyUserErrors(error: unknown): undefined {
  if (!(error instanceof UserError)) throw error;
}
