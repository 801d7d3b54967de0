import { stat } from "node:fs/promises";
import { totalmem } from "node:os";
import { Worker } from "node:worker_threads";
import { UserError } from "../../errors.ts";
import { grouped } from "../../words.ts";
import { readHead } from "./bytes.ts";
import type { Row } from "./parquet-groups.ts";
import type { Answer } from "./parquet-worker.ts";

/** One row; `row` counts from 1. */
export type ParquetRow = Row & {
  readonly row: number;
  /** The columns of the file that were not asked for, and left unread. */
  readonly unread: readonly string[];
};

/**
 * The limits on reading a file. A file with one wrong byte can send the library into a loop without
 * end.
 */
export interface ParquetLimits {
  /** Milliseconds without a sign of progress. */
  readonly patience: number;
  /** Mebibytes of values. */
  readonly memory: number;
}

/**
 * The rows of a Parquet file, one row group in memory at a time. They are read in a thread of their
 * own, which is ended when it makes no progress, so that this one always listens to signals.
 *
 * @param columns see `readRowGroups`
 * @param limits by default as the size of the file asks for
 * @throws UserError for a file that is not Parquet, is damaged, or is packed in an unknown way.
 */
export async function* readParquet(
  file: string,
  columns?: readonly string[],
  limits?: Partial<ParquetLimits>,
): AsyncGenerator<ParquetRow> {
  await readHead(file);
  const { patience, memory } = { ...limitsFor((await stat(file)).size), ...limits };
  const worker = startWorker({ file, columns }, memory);
  let at: { group: number; row: number } | undefined;
  const refuse = (problem: string, row = at?.row): never => {
    throw new UserError(`cannot be read as Parquet: ${problem}`, { file, ...(row !== undefined && { line: row }) });
  };
  const onWork = (on: typeof at) => {
    at = on;
  };
  const ask = () => {
    const answer = answerOf(worker, { patience, until: at ? 0 : startTime }, onWork).catch((error: unknown) =>
      refuse(describeEnd(error, at ? `row group ${at.group}` : "the footer", { patience, memory })),
    );
    // It is waited for later; until then a failure is nobody's fault.
    answer.catch(() => {});
    return answer;
  };
  try {
    for (let next = ask(); ; ) {
      const answer = await next;
      if (answer.kind === "end") return;
      if (answer.kind === "failed") return refuse(answer.problem, answer.row);
      // The thread goes on while these rows are used.
      next = ask();
      const { firstRow, rows, unread } = answer.batch;
      let row = firstRow;
      for (const read of rows) {
        if ("problem" in read) yield { row, problem: read.problem, field: read.field, unread };
        else yield { row, fields: read.fields, unread };
        row++;
      }
    }
  } finally {
    await worker.terminate();
  }
}

/** Far more than files of this size have been seen to take. */
function limitsFor(fileBytes: number): ParquetLimits {
  const mebibytes = fileBytes / 2 ** 20;
  const most = (totalmem() / 2 ** 20) * 0.75;
  return { patience: 10_000 + 50 * mebibytes, memory: Math.ceil(Math.min(512 + 16 * mebibytes, most)) };
}

function startWorker(workerData: object, memory: number): Worker {
  const options = { workerData, resourceLimits: { maxOldGenerationSizeMb: memory, maxYoungGenerationSizeMb: 64 } };
  if (!import.meta.url.endsWith(".ts")) return new Worker(new URL("./parquet-worker.js", import.meta.url), options);
  // Run from its sources, as tests do, Node needs help with TypeScript.
  const [source, here] = ["./parquet-worker.ts", import.meta.url].map((part) => JSON.stringify(part));
  const program = `import("tsx/esm/api").then(({ tsImport }) => tsImport(${source}, ${here}))`;
  return new Worker(program, { ...options, eval: true });
}

/** Milliseconds that a busy machine may take to start a thread. */
const startTime = 30_000;

class NoProgress extends Error {}

type LastAnswer = Exclude<Answer, { kind: "working" }>;

/**
 * Asks the thread to go on. Signs of life prolong the patience.
 *
 * @param until milliseconds more for the first sign
 * @param onWork told with each sign what it works on
 */
function answerOf(
  worker: Worker,
  { patience, until }: { patience: number; until: number },
  onWork: (on: { group: number; row: number } | undefined) => void,
): Promise<LastAnswer> {
  return new Promise<LastAnswer>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const wait = (milliseconds = patience) => {
      clearTimeout(timer);
      // Where this thread was busy itself, an answer may lie here already.
      timer = setTimeout(() => setImmediate(() => reject(new NoProgress())), milliseconds);
    };
    worker.removeAllListeners();
    worker.on("message", (answer: Answer) => {
      if (answer.kind === "working") {
        onWork(answer.on);
        return wait();
      }
      clearTimeout(timer);
      resolve(answer);
    });
    const end = (error: Error) => {
      clearTimeout(timer);
      reject(error);
    };
    worker.on("error", end);
    worker.on("exit", () => end(new Error("its thread ended")));
    worker.postMessage("go on");
    wait(patience + until);
  });
}

/** Why there is no answer. */
function describeEnd(error: unknown, part: string, { patience, memory }: ParquetLimits): string {
  if (error instanceof NoProgress) return `${part} makes no progress for ${grouped(patience / 1000)} s; it is damaged`;
  if (error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY")
    return `${part} takes more than ${grouped(memory)} MiB; it is damaged, or to be divided into smaller ones`;
  return error instanceof Error ? error.message : String(error);
}
