import { type ChildProcess, spawn } from "node:child_process";
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { LineQueue } from "./line-queue.ts";
import { checkScore, excerpt, MisplacedScoresError, numbered, type Scorer } from "./scorer.ts";
import { publicScorerName, withoutSecrets } from "./secrets.ts";

/** Seconds that the command has to end by itself once its input has ended. */
const grace = 2;

/**
 * A long-lived process as scorer: for each answer it is given a line `{"id", "prompt", "response"}`
 * on its standard input, and answers a line `{"score": number}` on its standard output, in order;
 * where it gives the `id` back, that is checked. What it says on standard error is shown.
 *
 * @param options.timeout seconds that it may stay silent while it owes a line
 */
export function commandScorer(command: string, { timeout }: { timeout: number }): Scorer {
  const child = start(command);
  const lines = new LineQueue(child.stdout!);
  let ended: string | undefined;
  const field = publicScorerName(command);
  const fail = (problem: string, hint?: string, Kind = UserError) =>
    new Kind(`the scorer ${withoutSecrets(problem, command)}`, { field, ...(hint !== undefined && { hint }) });

  const end = (how: string) => {
    ended ??= how;
    lines.close();
  };
  child.on("error", (error) => end(`cannot be started: ${error.message}`));
  child.on("close", (code, signal) => end(`ended ${signal ? `by ${signal}` : `with exit code ${code}`}`));
  // Writing to a process that has ended is reported as its end.
  child.stdin!.on("error", () => {});

  const refuseSurplus = () => {
    const line = lines.peek();
    if (line === undefined) return;
    throw fail(`answered more lines than it was asked for: ${excerpt(line)}`, oneLineEach, MisplacedScoresError);
  };
  /** The next line; undefined if the process ends first. Throws when it takes too long. */
  const nextLine = async (): Promise<string | undefined> => {
    const line = await lines.next(timeout);
    if (line === "late") throw fail(`was silent for ${timeout} seconds`, "give it more time with `timeout`");
    return line?.text;
  };

  let asked = 0;
  return {
    async score(items) {
      refuseSurplus();
      const sent = numbered(items, asked);
      asked += items.length;
      for (const item of sent) child.stdin!.write(`${JSON.stringify(item)}\n`);
      const scores: number[] = [];
      while (scores.length < items.length) {
        const line = await nextLine();
        if (line === undefined) throw fail(`${ended} after ${scores.length} of ${items.length} answers`);
        const answer = answerIn(line);
        if (!answer) throw fail(`answered ${excerpt(line)}`, oneLineEach);
        const { id } = sent[scores.length]!;
        if (answer.id !== undefined && answer.id !== id) {
          throw fail(`answered ${quoted(answer.id)} where it was asked ${id}`, oneLineEach, MisplacedScoresError);
        }
        scores.push(checkScore(answer.score, fail));
      }
      return scores;
    },
    async end() {
      child.stdin!.end();
      await lines.closed(grace);
      refuseSurplus();
    },
    async dispose() {
      child.stdin!.end();
      lines.drop();
      if (ended !== undefined) return;
      const timer = setTimeout(() => kill(child), grace * 1000);
      await lines.closed();
      clearTimeout(timer);
    },
  };
}

const oneLineEach = 'it must print one line {"score": number} for each answer and nothing else on its standard output';

function answerIn(line: string): { score: unknown; id?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && "score" in value) return value;
  } catch {
    // As good as a line of JSON without a score.
  }
  return undefined;
}

/** A process group of its own, so that what the shell starts ends with it. */
function start(command: string): ChildProcess {
  return spawn(command, { shell: true, stdio: ["pipe", "pipe", "inherit"], detached: process.platform !== "win32" });
}

function kill(child: ChildProcess): void {
  if (process.platform === "win32" || child.pid === undefined) child.kill();
  else process.kill(-child.pid, "SIGKILL");
}
