import { type ChildProcess, fork } from "node:child_process";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { currentName, failureName } from "./kept-inputs.ts";
import type { Report, Request } from "./run-cases.ts";

export interface Fuzzing {
  readonly cases: number;
  readonly seed: number;
  /** Only the subjects with this in their names. */
  readonly only?: string | undefined;
  /** The folder that failing inputs are kept in. */
  readonly keep: string;
  /** Seconds that a case may take. */
  readonly deadline?: number;
  /** Readers with faults instead of the real ones. */
  readonly planted?: boolean;
  /** The first case. */
  readonly from?: number;
  readonly onProgress?: (done: number) => void;
}

export interface Failure {
  readonly number: number;
  readonly subject: string;
  readonly problem: string;
  /** Where the input is kept. */
  readonly input: string;
}

export interface Outcome {
  readonly read: number;
  readonly refused: number;
  readonly failures: readonly Failure[];
}

/** Memory of the process that reads, in MiB: what takes more is a failure. */
const memory = 1024;

/** Cases in one process, so that what is left over from some does not add up. */
const casesTogether = 500;

/**
 * Changes good inputs at random and reads them: each must be read rightly or refused by a
 * `UserError` that names its file. A crash, a hang, a written file, another error, lost records are
 * failures. Equal seeds give equal cases.
 */
export async function fuzz(options: Fuzzing): Promise<Outcome> {
  const { cases, seed, only, keep, deadline = 20, from = 0, planted = false, onProgress = () => {} } = options;
  const counts = { read: 0, refused: 0 };
  const failures: Failure[] = [];
  let next = from;
  while (next < from + cases) {
    let current = { number: next, subject: "the start" };
    const fail = (problem: string) =>
      failures.push({ ...current, problem, input: join(keep, failureName(seed, current.number)) });
    const request = { seed, from: next, to: Math.min(next + casesTogether, from + cases), only, keep, planted };
    const early = await inProcess(request, deadline, (report) => {
      if (report.kind === "end") return;
      if (report.kind === "begin") {
        current = report;
        return;
      }
      if (report.kind === "failed") fail(report.problem);
      else counts[report.kind]++;
      next = report.number + 1;
      onProgress(next - from);
    });
    if (early === undefined) continue;
    // There is none if the process did not come to its first case.
    await rename(join(keep, currentName), join(keep, failureName(seed, current.number))).catch(() => undefined);
    if (await isEndedByItsThread(request, current, deadline)) counts.refused++;
    else fail(early);
    next = current.number + 1;
  }
  return { ...counts, failures };
}

/** The library for Parquet may do anything to its thread: what counts is that reading ends. */
async function isEndedByItsThread(
  request: Request,
  { number, subject }: { number: number; subject: string },
  deadline: number,
): Promise<boolean> {
  if (!subject.includes("parquet")) return false;
  let ended = false;
  const again = { ...request, from: number, to: number + 1, guarded: true };
  const early = await inProcess(again, deadline * 3, ({ kind }) => {
    if (kind === "refused" || kind === "read") ended = true;
  });
  return ended && early === undefined;
}

/**
 * Runs cases in a process of their own. Returns why it did not come to its end; undefined if it
 * did.
 */
async function inProcess(
  request: Request,
  deadline: number,
  onReport: (report: Report) => void,
): Promise<string | undefined> {
  const child = fork(fileURLToPath(new URL("run-cases.ts", import.meta.url)), {
    execArgv: ["--import", "tsx", `--max-old-space-size=${memory}`],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let lastWords = "";
  child.stderr!.on("data", (piece: Buffer) => {
    lastWords = (lastWords + piece.toString()).slice(-2000);
  });
  child.send(request);
  let finished = false;
  const reason = await new Promise<string | undefined>((resolve) => {
    let timer = setTimeout(() => {}, 0);
    const wait = (seconds: number) => {
      clearTimeout(timer);
      timer = setTimeout(() => resolve(`takes longer than ${seconds} s`), seconds * 1000);
    };
    wait(deadline + 60);
    child.on("message", (report: Report) => {
      wait(deadline);
      finished ||= report.kind === "end";
      onReport(report);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve(finished ? undefined : `ends its process (${signal ?? code}): ${lastWords}`);
    });
  });
  await endOf(child);
  return reason;
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await closed;
}
