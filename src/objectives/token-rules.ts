import { multiply } from "../graph/ops/elementwise.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Answer, Needs, Objective } from "./objective.ts";
import { mergeUses } from "./statistics.ts";

/**
 * How much each token counts. A rule goes with any loss: it changes the answers before the loss
 * sees them.
 *
 * `weight` counts in every sum over tokens. A rule that touches the log-ratios alone changes
 * `ratio`; one that selects tokens also sets `count`, which means divide by.
 */
export interface TokenRule extends Partial<Pick<Needs, "statistics" | "given" | "random">> {
  readonly name: string;
  /** @param other the other answer of a pair */
  apply(answer: Answer, other: Answer | undefined): Answer;
}

/** The answer with its weights multiplied by these, [examples, length]. */
export function weigh(answer: Answer, weight: Tensor): Answer {
  return { ...answer, weight: answer.weight ? multiply(answer.weight, weight) : weight };
}

/** The objective with its tokens weighed by a rule. Plain rewards stay unweighed. */
export function withTokenRule(objective: Objective, rule: TokenRule): Objective {
  const apply = (answers: readonly Answer[]) =>
    answers.map((answer, side) => rule.apply(answer, answers.length === 2 ? answers[1 - side] : undefined));
  const { rewards, updateState } = objective;
  return {
    ...objective,
    statistics: mergeUses(objective.statistics, rule.statistics ?? {}),
    given: { ...objective.given, ...rule.given },
    random: objective.random || (rule.random ?? false),
    losses: (answers, context) => objective.losses(apply(answers), context),
    ...(rewards && { rewards: (answers) => rewards(apply(answers)) }),
    ...(updateState && { updateState: (answers, before) => updateState(apply(answers), before) }),
  };
}

/**
 * Importance weights (Liu et al. 2025, arXiv 2410.04350): w_t comes with the examples, as `weight`.
 */
export const importanceWeights: TokenRule = {
  name: "importance",
  given: { weight: "token" },
  apply: (answer) => weigh(answer, answer.given.weight!),
};

/** The objective with importance weights from the examples. */
export function withImportanceWeights(objective: Objective): Objective {
  return withTokenRule(objective, importanceWeights);
}
