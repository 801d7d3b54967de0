import type { TokenizedExample } from "./example.ts";

/** The effect of tokenizing and cutting on the data, so that nothing is lost in silence. */
export interface TruncationReport {
  examples: number;
  /** Examples whose prompt was cut. */
  promptsCut: number;
  /** Responses that were cut; a pair has two. */
  responsesCut: number;
  /** All tokens cut off, EOS included; a prompt's tokens count once for the pair. */
  tokensCut: number;
  /** Lengths in tokens before cutting, to choose limits by. */
  longestPrompt: number;
  longestResponse: number;
  /** Pairs whose answers are the same tokens now. */
  identicalAfterTokenizing: number;
}

export function emptyReport(): TruncationReport {
  return {
    examples: 0,
    promptsCut: 0,
    responsesCut: 0,
    tokensCut: 0,
    longestPrompt: 0,
    longestResponse: 0,
    identicalAfterTokenizing: 0,
  };
}

/** Adds one example to the report. */
export function count(report: TruncationReport, { prompt, responses, cut }: TokenizedExample): void {
  report.examples++;
  if (cut.prompt > 0) report.promptsCut++;
  report.tokensCut += cut.prompt;
  report.longestPrompt = Math.max(report.longestPrompt, prompt.length + cut.prompt);
  for (const [index, response] of responses.entries()) {
    const lost = cut.responses[index]!;
    if (lost > 0) report.responsesCut++;
    report.tokensCut += lost;
    report.longestResponse = Math.max(report.longestResponse, response.length + lost);
  }
  if (hasIdenticalAnswers(responses)) report.identicalAfterTokenizing++;
}

/** True if the answers of a pair are the same tokens: neither can be preferred. */
export function hasIdenticalAnswers([first, second]: TokenizedExample["responses"]): boolean {
  if (!first || !second || first.length !== second.length) return false;
  return first.every((id, index) => id === second[index]);
}
