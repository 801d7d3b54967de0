/** The process in which cases run: whatever they do to it, the driver lives on. */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readParquet } from "../../src/data/files/parquet.ts";
import { UserError } from "../../src/errors.ts";
import { Random } from "../../src/random.ts";
import { currentName, failureName } from "./kept-inputs.ts";
import { mutated } from "./mutate.ts";
import { plantedFaults } from "./planted.ts";
import { type Subject, subjects } from "./subjects.ts";

/**
 * What is asked of this process: cases by their numbers, or one again through all that guards it.
 */
export interface Request {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** Only the subjects with this in their names. */
  readonly only?: string | undefined;
  /** Where failing inputs are kept. */
  readonly keep: string;
  readonly guarded?: boolean;
  /** Readers with faults instead of the real ones. */
  readonly planted?: boolean;
}

export type Report =
  | { readonly kind: "begin"; readonly number: number; readonly subject: string }
  | { readonly kind: "refused" | "read"; readonly number: number }
  | { readonly kind: "failed"; readonly number: number; readonly problem: string }
  | { readonly kind: "end" };

const say = (report: Report) => process.send!(report);

process.once("message", async (request: Request) => {
  const root = await mkdtemp(join(tmpdir(), "tokenwise-fuzz-"));
  process.chdir(root);
  try {
    await runCases(request, root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  say({ kind: "end" });
  process.disconnect();
  process.exit();
});

async function runCases({ seed, from, to, only = "", keep, guarded, planted }: Request, root: string): Promise<void> {
  const chosen = (planted ? plantedFaults : subjects).filter(({ name }) => name.includes(only));
  const made = new Map<Subject, string>();
  for (let number = from; number < to; number++) {
    const subject = chosen[number % chosen.length]!;
    const folder = made.get(subject) ?? (await make(subject, root, made.size));
    made.set(subject, folder);
    const random = Random.from(seed, "fuzz", number);
    const target = join(folder, subject.targets[random.integer(subject.targets.length)]!);
    const original = await readFile(target);
    const input = mutated(original, random);
    say({ kind: "begin", number, subject: `${subject.name}: ${target.slice(folder.length + 1)}` });
    await writeFile(target, input);
    await mkdir(keep, { recursive: true });
    // What ends the process must be there afterwards, too.
    await writeFile(join(keep, currentName), input);
    const before = await readdir(root, { recursive: true });
    const outcome = await (guarded ? readGuarded(target) : judge(subject, folder));
    const after = await readdir(root, { recursive: true });
    await writeFile(target, original);
    const problem = after.join() === before.join() ? outcome.problem : `wrote ${difference(before, after)}`;
    if (problem !== undefined) await rename(join(keep, currentName), join(keep, failureName(seed, number)));
    say(problem === undefined ? { kind: outcome.kind, number } : { kind: "failed", number, problem });
  }
}

async function make(subject: Subject, root: string, index: number): Promise<string> {
  const folder = join(root, `subject-${index}`);
  await mkdir(folder);
  await subject.make(folder);
  return folder;
}

/** How a case ended, and what is wrong with that, if anything is. */
interface Outcome {
  readonly kind: "read" | "refused";
  readonly problem?: string | undefined;
}

async function judge(subject: Subject, folder: string): Promise<Outcome> {
  try {
    return { kind: "read", problem: await subject.read(folder) };
  } catch (error) {
    return judgeError(error, folder);
  }
}

/** Reads Parquet in its thread, as the product does. */
async function readGuarded(file: string): Promise<Outcome> {
  try {
    for await (const _ of readParquet(file, ["prompt", "chosen", "rejected"]));
    return { kind: "read" };
  } catch (error) {
    return judgeError(error, file);
  }
}

/**
 * An error must be of the kind that users understand, name the file, and be one line of a bearable
 * length.
 */
function judgeError(error: unknown, folder: string): Outcome {
  const { message, stack = message } = error instanceof Error ? error : { message: String(error) };
  const faults = [
    !(error instanceof UserError) && stack,
    !message.includes(folder) && `names no file: ${message}`,
    message.includes("\n") && `several lines: ${message}`,
    message.length > longestMessage && `${message.length} characters long`,
  ];
  return { kind: "refused", problem: faults.find((fault) => fault !== false) };
}

const longestMessage = 10_000;

function difference(before: readonly string[], after: readonly string[]): string {
  return [...after.filter((name) => !before.includes(name)), ...before.filter((name) => !after.includes(name))].join();
}
