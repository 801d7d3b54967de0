import {
  add,
  constant,
  exp,
  log,
  multiply,
  negate,
  scale,
  stopGradient,
  subtract,
} from "../../graph/ops/elementwise.ts";
import { pick } from "../../graph/ops/indexing.ts";
import { sum } from "../../graph/ops/reduce.ts";
import { transpose } from "../../graph/ops/shape.ts";
import { logSoftmax } from "../../graph/ops/softmax.ts";
import type { Section } from "../../graph/section.ts";
import { input, type Tensor } from "../../graph/tensor.ts";
import { type Architecture, headInputs, logitsOf, namedHead } from "../../models/architecture.ts";
import { comparesWithReference, type StatisticUses, type VocabularyStatistic } from "../../objectives/statistics.ts";

/** Log-probabilities over some words, [rows, words]. */
interface Distributions {
  readonly policy: Tensor;
  /** The policy itself where there is no reference. */
  readonly reference: Tensor;
}

/** A statistic over the vocabulary, and over the tiles that the vocabulary is cut into. */
interface Definition {
  /** Of distributions over any words, [rows]. */
  of(over: Distributions): Tensor;
  /**
   * The same over the vocabulary, [rows].
   *
   * @param tiles the distributions of the next word's tile, [rows, tiles]
   * @param within the statistic of the distributions within each tile, [rows, tiles]
   */
  joined(tiles: Distributions, within: Tensor): Tensor;
}

const definitions: Record<VocabularyStatistic, Definition> = {
  klReferencePolicy: chained(
    ({ policy, reference }) => relativeEntropy(reference, policy),
    ({ reference }) => exp(reference),
  ),
  klPolicyReference: chained(
    ({ policy, reference }) => relativeEntropy(policy, reference),
    ({ policy }) => exp(policy),
  ),
  entropy: chained(
    ({ policy }) => negate(sum(multiply(exp(policy), policy), [-1])),
    ({ policy }) => exp(policy),
  ),
  // The largest π(v) is at least one in the vocabulary's size, so its square stays far from the
  // smallest float.
  logSumSquares: {
    of: ({ policy }) => log(sum(exp(scale(policy, 2)), [-1])),
    joined: ({ policy }, within) => log(sum(exp(add(scale(policy, 2), within)), [-1])),
  },
  // Here with y; `joinedStatistics` takes it out.
  othersLogp: chained(
    ({ policy }) => sum(multiply(stopGradient(exp(policy)), policy), [-1]),
    ({ policy }) => stopGradient(exp(policy)),
  ),
};

/**
 * A statistic with the chain rule of entropies: that of the tiles, and on average over tiles that
 * within them (Cover & Thomas, Elements of Information Theory, theorems 2.2.1 and 2.5.3).
 */
function chained(of: Definition["of"], weights: (tiles: Distributions) => Tensor): Definition {
  return { of, joined: (tiles, within) => add(of(tiles), sum(multiply(weights(tiles), within), [-1])) };
}

/**
 * KL(p || q) = Σ_v p(v) (log p(v) - log q(v)), from log-probabilities. Adding q(v) - p(v) to each
 * term changes nothing, since both sum to one, but cancels the rounding of the two normalisations,
 * which would drown the divergence of close models in float32.
 */
function relativeEntropy(p: Tensor, q: Tensor): Tensor {
  return sum(add(multiply(exp(p), subtract(subtract(p, q), constant(1))), exp(q)), [-1]);
}

/** The statistics that are wanted besides the log-probability of each scored token. */
export interface StatisticsNeeds {
  /** Those that compare with the reference are left out without one. */
  statistics?: StatisticUses;
  /** True if the policy's head does not train. */
  frozenHead?: boolean;
}

/** The parts of a model that its logits depend on. */
export type HeadShape = Pick<Architecture, "width" | "headBias" | "finishLogits">;

/**
 * From hidden states to what one tile of the vocabulary, `words` rows of the head, adds to the
 * statistics of each row, all [rows]: `mass`, the logarithm of the sum over the tile of e^logit;
 * `logp`, the logarithm of the label's probability within the tile; and the statistics of the
 * distributions within the tile. A label that lies in another tile may be any word of this one.
 * Distributions exist only inside; those that gradients need may be saved for the backward pass.
 *
 * @param reference undefined where there is none
 */
export function tileStatistics(
  policy: HeadShape,
  reference: HeadShape | undefined,
  { statistics = {}, frozenHead = false }: StatisticsNeeds,
): Section {
  const labels = input(["rows"], "int");
  const own = applied(policy, labels);
  const compared = reference && applied(reference, labels);
  const distributions = { policy: own.words, reference: compared?.words ?? own.words };
  const parameters = namedHead("head", own.head);
  return {
    name: "statistics of a tile",
    inputs: { hidden: own.hidden },
    constants: {
      labels,
      ...(compared && { referenceHidden: compared.hidden, ...namedHead("referenceHead", compared.head) }),
      ...(frozenHead && parameters),
    },
    parameters: frozenHead ? {} : parameters,
    outputs: {
      "mass in tiles": own.mass,
      "logp in tiles": own.logp,
      ...(compared && { "reference mass in tiles": compared.mass, "reference logp in tiles": compared.logp }),
      ...Object.fromEntries(
        declared(statistics, reference !== undefined).map(([name, use]) => {
          const within = definitions[name].of(distributions);
          return [inTiles(name), use === "gradient" ? within : stopGradient(within)];
        }),
      ),
    },
    saved: {
      "policy words": own.words,
      ...(compared && comparing(statistics) && { "reference words": compared.words }),
    },
  };
}

/** True if a statistic with a gradient compares with the reference. */
function comparing(statistics: StatisticUses): boolean {
  return declared(statistics, true).some(([name, use]) => use === "gradient" && comparesWithReference(name));
}

/** A model's head on hidden states, for the words of one tile. */
function applied(shape: HeadShape, labels: Tensor) {
  const hidden = input(["rows", shape.width]);
  const head = headInputs(shape);
  const logits = logitsOf(shape, hidden, head);
  const words = logSoftmax(logits);
  const logp = pick(words, labels);
  // A logit less its log-probability is the logarithm of the sum, whatever the word.
  return { hidden, head, words, logp, mass: subtract(pick(logits, labels), logp) };
}

/**
 * From what the tiles add, each [tiles, rows], to the statistics of each row, [rows]: `policyLogp`
 * and `referenceLogp`, the log-probability of the label, and the statistics that are declared.
 * `label tiles` says in which tile each label lies.
 */
export function joinedStatistics(withReference: boolean, uses: StatisticUses): Section {
  const parts: Record<"inputs" | "constants", Record<string, Tensor>> = { inputs: {}, constants: {} };
  /** [rows, tiles] */
  const part = (name: string, kind: keyof typeof parts) => {
    const tensor = input(["tiles", "rows"]);
    parts[kind][inTiles(name)] = tensor;
    return transpose(tensor, [1, 0]);
  };
  const labelTiles = input(["rows"], "int");
  const model = (name: string, kind: keyof typeof parts) => {
    const tiles = logSoftmax(part(`${name}mass`, kind));
    return { tiles, logp: add(pick(tiles, labelTiles), pick(part(`${name}logp`, kind), labelTiles)) };
  };
  const policy = model("", "inputs");
  const reference = withReference ? model("reference ", "constants") : undefined;
  const tiles = { policy: policy.tiles, reference: reference?.tiles ?? policy.tiles };
  const statistics = declared(uses, withReference).map(([name, use]) => {
    const joined = definitions[name].joined(tiles, part(name, use === "gradient" ? "inputs" : "constants"));
    const statistic = name === "othersLogp" ? withoutLabel(joined, policy.logp) : joined;
    return [name, use === "gradient" ? statistic : stopGradient(statistic)] as const;
  });
  return {
    name: "statistics of tokens",
    inputs: parts.inputs,
    constants: { "label tiles": labelTiles, ...parts.constants },
    parameters: {},
    outputs: {
      policyLogp: policy.logp,
      ...(reference && { referenceLogp: reference.logp }),
      ...Object.fromEntries(statistics),
    },
    saved: {},
  };
}

/** Σ_v sg(π(v)) log π(v) without the summand of the label. */
function withoutLabel(total: Tensor, logp: Tensor): Tensor {
  return subtract(total, multiply(stopGradient(exp(logp)), logp));
}

/** The statistics that can be computed, with or without a reference. */
function declared(uses: StatisticUses, withReference: boolean) {
  const all = Object.entries(uses) as [VocabularyStatistic, "gradient" | "constant"][];
  return all.filter(([name]) => withReference || !comparesWithReference(name));
}

function inTiles(name: string): string {
  return `${name} in tiles`;
}
