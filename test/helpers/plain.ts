/**
 * The computation that the packed layout must equal: every response is a sequence of its own, with
 * its own passes.
 */
import { packBatch } from "../../src/data/batch.ts";
import type { TokenizedExample } from "../../src/data/example.ts";
import { type Engine, integers } from "../../src/engine/engine.ts";
import { backwardProgram, forwardProgram, gradientName } from "../../src/graph/section.ts";
import { headOf, namedHead } from "../../src/models/architecture.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import type { Objective } from "../../src/objectives/objective.ts";
import type { StatisticName } from "../../src/objectives/statistics.ts";
import { tokenStatistics } from "../../src/step/heads/vocabulary.ts";
import { type ExampleOutcome, ObjectiveEvaluator, type ResponseVectors } from "../../src/step/objective-evaluator.ts";
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
  const { architecture } = policy.transformer;
  const section = tokenStatistics(architecture, reference && architecture, { statistics: objective.statistics });
  const forward = engine.compile(forwardProgram(section, { save: true }));
  const backward = engine.compile(backwardProgram(section));
  const names = Object.keys(section.outputs) as StatisticName[];
  const evaluator = new ObjectiveEvaluator(weightedIf(examples, objective), names);
  const gradients = zeroGradients(engine, policy);
  const headTotals = Object.fromEntries(
    Object.entries(namedHead("head", headOf(architecture, gradients)!)).map(([name, total]) => [
      gradientName(name),
      total,
    ]),
  );
  const scored: { outcome: ExampleOutcome; responses: ResponseVectors[] }[] = [];

  for (const example of examples) {
    const sequences = [];
    for (const response of example.responses) {
      const batch = packBatch([{ ...example, responses: [response] }]);
      const pass = await policy.transformer.forward(policy.parameters, batch, { save: "activations" });
      const inputs = {
        hidden: pass.hidden,
        ...namedHead("head", headOf(architecture, policy.parameters)!),
        labels: integers(response),
        ...(reference && {
          referenceHidden: (await reference.transformer.forward(reference.parameters, batch, { save: "nothing" }))
            .hidden,
          ...namedHead("referenceHead", headOf(reference.transformer.architecture, reference.parameters)!),
        }),
      };
      sequences.push({ batch, pass, inputs, values: await forward.run(inputs) });
    }
    const responses = sequences.map(
      ({ values }, side): ResponseVectors => ({
        ...Object.fromEntries(names.map((name) => [name, Float64Array.from(values[name]!.data)])),
        ...(example.given?.weight && { weight: example.given.weight[side]! }),
      }),
    );
    const outcome = evaluator.evaluate([responses])[0]!;
    scored.push({ outcome, responses });
    for (const [side, { batch, pass, inputs, values }] of sequences.entries()) {
      const cotangents = names.map((name) => {
        const value = engine.allocate([batch.entries.length]);
        value.data.forEach((_, index) => {
          value.data[index] = scale * (outcome.gradients[side]![name]?.[index] ?? 0);
        });
        return [gradientName(name), value] as const;
      });
      const results = await backward.run(
        { ...inputs, ...values, ...Object.fromEntries(cotangents), ...headTotals },
        headTotals,
      );
      const hiddenGradient = results[gradientName("hidden")]!;
      await policy.transformer.backward(policy.parameters, batch, pass, hiddenGradient, gradients);
    }
  }
  return { scored, gradients };
}
