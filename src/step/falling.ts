/** Steps averaged into one reading, and readings in a row that must fall. */
const blockSteps = 10;
const fallsToWarn = 3;

/**
 * Watches the log-ratio of the chosen answers, Σ log π/π_ref. Preference objectives may lower it
 * together with that of the rejected ones: the margin grows while the policy unlearns the good
 * answers.
 */
export class FallingWatch {
  #block: number[] = [];
  #means: number[] = [];
  #warned = false;

  /**
   * Takes a step's mean; returns a warning once, when the log-ratio is negative and has fallen
   * steadily.
   */
  observe(chosenLogRatio: number): string | undefined {
    this.#block.push(chosenLogRatio);
    if (this.#block.length < blockSteps) return undefined;
    this.#means.push(this.#block.reduce((sum, value) => sum + value, 0) / blockSteps);
    this.#block = [];
    const recent = this.#means.slice(-fallsToWarn - 1);
    const falling =
      recent.length > fallsToWarn && recent.every((value, index) => index === 0 || value < recent[index - 1]!);
    if (!falling || recent.at(-1)! >= 0 || this.#warned) return undefined;
    this.#warned = true;
    const change = `${recent[0]!.toFixed(2)} to ${recent.at(-1)!.toFixed(2)}`;
    return (
      `the log-probability of the chosen answers is falling steadily (log-ratio to the reference ${change} nats in ` +
      `${fallsToWarn * blockSteps} steps): consider a lower learning rate, a higher beta, or tdpo2 with a higher alpha`
    );
  }
}
