import { availableParallelism } from "node:os";
import { createEngine } from "../engine/create.ts";
import { UserError } from "../errors.ts";
import { type HeldOut, type HeldOutOptions, readHeldOut } from "../evaluate/held-out.ts";
import { ModelLoader } from "../evaluate/models.ts";
import { checkContext, openReference, type Reference } from "../evaluate/reference.ts";
import { openSubject, type Subject } from "../evaluate/subject.ts";
import { type Reporter, silentReporter } from "../report.ts";
import { defaultMicrobatch } from "../step/microbatches.ts";
import { loadLanguageModel } from "../storage/load-model.ts";
import { scorePairs } from "./score-pairs.ts";
import type { ComparedAnswer, ScoredPair } from "./scored-pair.ts";

export interface ScoreOptions extends HeldOutOptions {
  /** The folder of a model, of an adapter or of a run. */
  readonly model: string;
  /** The folder of a model to compare with. */
  readonly reference?: string | undefined;
  /** All cores by default. */
  readonly threads?: number | undefined;
  readonly reporter?: Omit<Reporter, "record"> | undefined;
  /** Ends the work early: no further pair comes. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Scores both answers of every pair, token by token: log-probabilities and entropies under a model,
 * and beside a reference the log-ratios and divergences.
 *
 * A run brings its limits and the names of its columns, and its held-out pairs unless `data` names
 * files. Everything else is as in `evaluate`.
 *
 * @returns the pairs in their order, as they are computed; weights are loaded with the first
 * @throws UserError for anything wrong with the models or the data, before any weights are loaded;
 * on the way for a number that is not finite
 */
export async function score(
  options: ScoreOptions & { readonly reference: string },
): Promise<AsyncGenerator<ScoredPair<ComparedAnswer>>>;
export async function score(options: ScoreOptions): Promise<AsyncGenerator<ScoredPair>>;
export async function score(options: ScoreOptions): Promise<AsyncGenerator<ScoredPair>> {
  const { reporter = silentReporter } = options;
  const subject = await openSubject(options.model);
  for (const note of subject.notes) reporter.note(note);
  const reference = options.reference === undefined ? undefined : await openReference(subject, options.reference);
  const heldOut = await readHeldOut([subject], options, reporter);
  if (heldOut.supervised) {
    const problem = "the run was trained on single answers or texts, and scores are of pairs";
    throw new UserError(problem, { file: subject.name, hint: "give pairs with `data`" });
  }
  if (reference) checkContext(reference, heldOut.examples);
  return scored(subject, reference, heldOut, options);
}

async function* scored(
  { name, folder, recipe }: Subject,
  reference: Reference | undefined,
  { examples }: HeldOut,
  { reporter = silentReporter, threads = availableParallelism(), signal }: ScoreOptions,
): AsyncGenerator<ScoredPair> {
  const progress = (done: number) =>
    reporter.progress({ activity: `scoring with ${name}`, done, total: examples.length });
  const engine = await createEngine({ threads });
  try {
    const loader = new ModelLoader(engine);
    const base = recipe?.lora?.base;
    const policy = await loader.load({
      configuration: folder.configuration,
      load: (_, { like }) => loadLanguageModel(engine, folder, { like, frozen: true, base }),
    });
    const models = { engine, policy, reference: await loader.loadReference(reference) };
    // From here on, so that the time of loading does not count as that of the first pair.
    progress(0);
    const limits = recipe?.microbatch ?? defaultMicrobatch;
    for await (const pair of scorePairs(models, examples, limits, signal)) {
      yield pair;
      progress(pair.index + 1);
    }
  } finally {
    engine.dispose();
  }
}
