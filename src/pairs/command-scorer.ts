import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { UserError } from "../errors.ts";
import { checkScore, excerpt, type Scorer } from "./scorer.ts";

/** Seconds that the command has to end by itself once its input has ended. */
const grace = 2;

/**
 * A long-lived process as scorer: for each answer it is given a line `{"prompt", "response"}` on its standard input, and answers a line
 * `{"score": number}` on its standard output, in order. What it says on standard error is shown.
 *
 * @param options.timeout seconds that it may stay silent while it owes a line
 */
export function commandScorer(command: string, { timeout }: { timeout: number }): Scorer {
  const child = start(command);
  const lines: string[] = [];
  let ended: string | undefined;
  let wake = () => {};
  const fail = (problem: string, hint?: string) =>
    new UserError(`the scorer ${problem}`, { field: command, ...(hint !== undefined && { hint }) });

  createInterface({ input: child.stdout! }).on("line", (line) => {
    lines.push(line);
    wake();
  });
  const end = (how: string) => {
    ended ??= how;
    wake();
  };
  child.on("error", (error) => end(`cannot be started: ${error.message}`));
  child.on("close", (code, signal) => end(`ended ${signal ? `by ${signal}` : `with exit code ${code}`}`));
  // Writing to a process that has ended is reported as its end.
  child.stdin!.on("error", () => {});

  /** The next line; undefined if the process ends first. Throws when it takes too long. */
  const nextLine = async (): Promise<string | undefined> => {
    if (lines.length === 0 && ended === undefined) {
      const inTime = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(resolve, timeout * 1000, false);
        wake = () => {
          clearTimeout(timer);
          resolve(true);
        };
      });
      wake = () => {};
      if (!inTime) throw fail(`was silent for ${timeout} seconds`, "give it more time with --scorer-timeout");
    }
    return lines.shift();
  };

  return {
    async score(items) {
      if (lines.length > 0) throw fail(`answered more lines than it was asked for: ${excerpt(lines[0]!)}`, oneLineEach);
      for (const { prompt, response } of items) child.stdin!.write(`${JSON.stringify({ prompt, response })}\n`);
      const scores: number[] = [];
      while (scores.length < items.length) {
        const line = await nextLine();
        if (line === undefined) throw fail(`${ended} after ${scores.length} of ${items.length} answers`);
        scores.push(checkScore(scoreIn(line, fail), command));
      }
      return scores;
    },
    async dispose() {
      child.stdin!.end();
      if (ended === undefined) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => {
            kill(child);
          }, grace * 1000);
          wake = () => {
            if (ended === undefined) return;
            clearTimeout(timer);
            resolve();
          };
        });
      }
    },
  };
}

const oneLineEach = 'it must print one line {"score": number} for each answer and nothing else on its standard output';

function scoreIn(line: string, fail: (problem: string, hint: string) => UserError): unknown {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && "score" in value) return value.score;
  } catch {
    // Reported below, like a line of JSON without a score.
  }
  throw fail(`answered ${excerpt(line)}`, oneLineEach);
}

/** A process group of its own, so that what the shell starts ends with it. */
function start(command: string): ChildProcess {
  return spawn(command, { shell: true, stdio: ["pipe", "pipe", "inherit"], detached: process.platform !== "win32" });
}

function kill(child: ChildProcess): void {
  if (process.platform === "win32" || child.pid === undefined) child.kill();
  else process.kill(-child.pid, "SIGKILL");
}
