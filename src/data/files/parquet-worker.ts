/** The thread that reads a Parquet file: one answer for each question of `parquet.ts`. */
import { parentPort, workerData } from "node:worker_threads";
import { type RowBatch, readRowGroups, UnreadableParquet } from "./parquet-groups.ts";

/**
 * The thread's messages. `working`: on a row group (from 1) with this first row, or on none yet.
 */
export type Answer =
  | { readonly kind: "working"; readonly on?: { readonly group: number; readonly row: number } }
  | { readonly kind: "rows"; readonly batch: RowBatch }
  | { readonly kind: "end" }
  | { readonly kind: "failed"; readonly problem: string; readonly row: number | undefined };

const port = parentPort!;
const say = (answer: Answer) => port.postMessage(answer);

const last = { group: 0, time: 0 };
/** A sign of life for each row group and now and then, from within a long piece of work as well. */
const onProgress = (group: number, row: number) => {
  const time = Date.now();
  if (group === last.group && time - last.time < 500) return;
  Object.assign(last, { group, time });
  say({ kind: "working", on: { group, row } });
};

const { file, columns } = workerData as { file: string; columns: readonly string[] | undefined };
const batches = readRowGroups(file, columns, onProgress);
port.on("message", async () => {
  try {
    const { value: batch, done } = await batches.next();
    say(done ? { kind: "end" } : { kind: "rows", batch });
  } catch (error) {
    const { message } = error instanceof Error ? error : { message: String(error) };
    say({ kind: "failed", problem: message, row: error instanceof UnreadableParquet ? error.row : undefined });
  }
});
say({ kind: "working" });
