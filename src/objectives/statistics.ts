/**
 * Statistics over the whole vocabulary at every scored token; π is the policy, y the token that
 * stands there.
 */
export const vocabularyStatistics = [
  /** KL(π_ref ‖ π) */
  "klReferencePolicy",
  /** KL(π ‖ π_ref) */
  "klPolicyReference",
  /** −Σ_v π(v) log π(v) */
  "entropy",
  /** log Σ_v π(v)² */
  "logSumSquares",
  /** Σ_{v≠y} sg(π(v)) log π(v), where sg stops the gradient */
  "othersLogp",
] as const;
export type VocabularyStatistic = (typeof vocabularyStatistics)[number];

/**
 * `policyLogp` and `referenceLogp`: log π(y) and log π_ref(y). The others are computed only where
 * they are declared.
 */
export type StatisticName = "policyLogp" | "referenceLogp" | VocabularyStatistic;

/**
 * The statistics that a loss declares: `gradient` if the loss depends on the policy through it,
 * `constant` if not.
 */
export type StatisticUses = Readonly<Partial<Record<VocabularyStatistic, "gradient" | "constant">>>;

/** Whether a statistic compares with the reference. */
export function comparesWithReference(name: VocabularyStatistic): boolean {
  return name === "klReferencePolicy" || name === "klPolicyReference";
}

/** Both declarations in one; `gradient` wins. */
export function mergeUses(a: StatisticUses, b: StatisticUses): StatisticUses {
  const constant = (name: VocabularyStatistic) => a[name] !== "gradient" && b[name] !== "gradient";
  const names = vocabularyStatistics.filter((name) => name in a || name in b);
  return Object.fromEntries(names.map((name) => [name, constant(name) ? "constant" : "gradient"]));
}
