import type { Tensor } from "../graph/tensor.ts";
import type { Answer, Context, Needs, Objective } from "./objective.ts";
import { mergeUses, type StatisticUses } from "./statistics.ts";

/** A loss and how much it counts beside others. */
export interface Part {
  readonly weight: number;
  readonly objective: Objective;
}

/**
 * Several losses as one: Σ weight · mean, where each keeps the mean it is made with. The rewards of
 * the first part that defines rewards are logged.
 *
 * @throws Error if the parts are over different numbers of answers.
 */
export function mixture(name: string, parts: readonly [Part, ...Part[]]): Objective {
  const objectives = parts.map(({ objective }) => objective);
  const { responses } = objectives[0]!;
  if (objectives.some((other) => other.responses !== responses))
    throw new Error(`${name} mixes losses over pairs with losses over single answers; see onChosen`);
  const statistics = objectives.reduce<StatisticUses>((all, one) => mergeUses(all, one.statistics), {});
  const rewarding = objectives.find(({ rewards }) => rewards);
  const plain = objectives.find(({ plainRewards }) => plainRewards);
  const updating = objectives.some(({ updateState }) => updateState);
  return {
    ...{ name, responses, statistics },
    reference: strongest(objectives.map(({ reference }) => reference)),
    given: Object.assign({}, ...objectives.map(({ given }) => given)),
    weights: objectives.some(({ weights }) => weights === "required") ? "required" : "possible",
    random: objectives.some(({ random }) => random),
    scope: objectives.some(({ scope }) => scope === "step") ? "step" : "example",
    terms: parts.flatMap(({ weight, objective: { terms } }) =>
      terms.map((term) => ({ ...term, weight: weight * term.weight })),
    ),
    losses: (answers, context) =>
      objectives.flatMap((objective, index) => objective.losses(answers, contextOf(context, index))),
    ...(rewarding && { rewards: (answers) => rewarding.rewards!(answers) }),
    ...(plain && { plainRewards: (answers) => plain.plainRewards!(answers) }),
    initialState: Object.assign({}, ...objectives.map(({ initialState }, index) => named(initialState, index))),
    ...(updating && {
      updateState: (answers, before) =>
        Object.assign(
          {},
          ...objectives.map((objective, index) =>
            named(objective.updateState?.(answers, contextOf(before, index)) ?? {}, index),
          ),
        ),
    }),
  };
}

/**
 * A loss over single answers, applied to the chosen answer of each pair. A mean over tokens is over
 * those of the chosen answers.
 */
export function onChosen(objective: Objective): Objective {
  const chosen = (answers: readonly Answer[]) => answers.slice(0, 1);
  const { rewards: _, plainRewards: __, updateState, ...rest } = objective;
  return {
    ...rest,
    responses: 2,
    losses: (answers, context) => objective.losses(chosen(answers), context),
    ...(updateState && { updateState: (answers, before) => updateState(chosen(answers), before) }),
  };
}

function strongest(references: readonly Needs["reference"][]): Needs["reference"] {
  return (["loss", "rewards"] as const).find((reference) => references.includes(reference)) ?? "none";
}

/** The state of a part stands in the mixture's under its index. */
function named<Value>(state: Readonly<Record<string, Value>>, index: number): Record<string, Value> {
  return Object.fromEntries(Object.entries(state).map(([key, value]) => [`${index}.${key}`, value]));
}

function contextOf(context: Context, index: number): Context {
  const own = Object.entries(context.state).filter(([key]) => key.startsWith(`${index}.`));
  const state: Record<string, Tensor> = Object.fromEntries(
    own.map(([key, value]) => [key.slice(`${index}.`.length), value]),
  );
  return { ...context, state };
}
