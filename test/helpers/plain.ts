/**
 * The computation that the packed layout must equal: every response is a sequence of its own, with
 * its own passes.
 */
import { packBatch } from "../../src/data/batch.ts";
import type { TokenizedExample } from "../../src/data/example.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import type { Objective } from "../../src/objectives/objective.ts";
import { type ExampleOutcome, ObjectiveEvaluator, type ResponseVectors } from "../../src/step/objective-evaluator.ts";
import { StatisticsHead } from "../../src/step/statistics-head.ts";
import { weightedIf, zeroGradients } from "./tiny.ts";

export interface Models {
  engine: Engine;
  policy: LanguageModel;
  reference: LanguageModel | undefined;
  objective: Objective;
}

/**
 * Outcomes, statistics and the gradient of `scale · Σ losses`, from sequences `prompt | response`
 * computed one by one.
 */
export async function plainGradients(models: Models, examples: readonly TokenizedExample[], scale: number) {
  const { engine, policy, reference, objective } = models;
  const head = new StatisticsHead(models, objective.statistics);
  const { names } = head;
  const evaluator = new ObjectiveEvaluator(weightedIf(examples, objective), names);
  const gradients = zeroGradients(engine, policy);
  const scored: { outcome: ExampleOutcome; responses: ResponseVectors[] }[] = [];

  for (const example of examples) {
    const sequences = [];
    for (const response of example.responses) {
      const batch = packBatch([{ ...example, responses: [response] }]);
      const pass = await policy.transformer.forward(policy.parameters, batch, { save: "activations" });
      const states = {
        hidden: pass.hidden,
        reference:
          reference && (await reference.transformer.forward(reference.parameters, batch, { save: "nothing" })).hidden,
      };
      const range = { start: 0, end: batch.entries.length };
      sequences.push({ batch, pass, headPass: await head.forward(batch, range, states, { save: true }) });
    }
    const responses = sequences.map(
      ({ headPass: { statistics } }, side): ResponseVectors => ({
        ...Object.fromEntries(names.map((name) => [name, statistics[name]!])),
        ...(example.given?.weight && { weight: example.given.weight[side]! }),
      }),
    );
    const outcome = evaluator.evaluate([responses])[0]!;
    scored.push({ outcome, responses });
    for (const [side, { batch, pass, headPass }] of sequences.entries()) {
      const cotangents = names.map((name) => {
        const vector = outcome.gradients[side]![name] ?? new Float64Array(batch.entries.length);
        return [name, vector.map((value) => scale * value)] as const;
      });
      const hiddenGradient = engine.zeros(pass.hidden.shape);
      await head.backward(headPass, Object.fromEntries(cotangents), hiddenGradient, gradients);
      await policy.transformer.backward(policy.parameters, batch, pass, hiddenGradient, gradients);
    }
  }
  return { scored, gradients };
}
