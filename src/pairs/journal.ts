import { existsSync } from "node:fs";
import { type FileHandle, mkdir, open, readFile, rm, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { UserError } from "../errors.ts";
import { asUserError, isFolder } from "../files/file-system.ts";
import type { ScoredPrompt } from "./rank.ts";

/**
 * The inputs of the sampled and scored answers; two runs may share a journal only if it is equal.
 */
export type JournalSettings = Readonly<Record<string, unknown>>;

/**
 * The progress of making pairs, in a file beside the output: a line with the settings, then a line
 * for each prompt that is done. Whole batches of lines are appended, so that a run that continues
 * computes the same batches as one that was never interrupted.
 */
export class Journal {
  readonly file: string;
  readonly #handle: FileHandle;
  readonly #done: ScoredPrompt[];
  /** The state at the time the journal was opened. */
  readonly #atStart: { readonly bytes: number; readonly prompts: number };

  private constructor(file: string, handle: FileHandle, done: ScoredPrompt[], bytes: number) {
    this.file = file;
    this.#handle = handle;
    this.#done = done;
    this.#atStart = { bytes, prompts: done.length };
  }

  /**
   * Begins a journal, or with `resume` continues one.
   *
   * @param options.batchSize prompts of a batch: what lies behind the last whole batch is done
   * again
   * @throws UserError if there is one already, or none to continue, or one of other settings; and
   * if it cannot be written.
   */
  static async open(
    file: string,
    settings: JournalSettings,
    { resume, batchSize }: { resume: boolean; batchSize: number },
  ): Promise<Journal> {
    const { done, bytes } = resume ? await read(file, settings, batchSize) : { done: [], bytes: 0 };
    if (!resume && existsSync(file)) {
      throw new UserError("holds the progress of a run that was not finished", {
        file,
        hint: "continue it with `resume`, or delete the file",
      });
    }
    const exists = await isFolder(dirname(file));
    try {
      if (!exists) await mkdir(dirname(file), { recursive: true });
      // Half a line or half a batch may follow what was read.
      if (resume) await truncate(file, bytes);
      const handle = await open(file, resume ? "a" : "wx");
      if (!resume) await handle.appendFile(`${JSON.stringify({ settings })}\n`);
      return new Journal(file, handle, done, (await handle.stat()).size);
    } catch (error) {
      throw asUserError(error, file, "cannot write");
    }
  }

  /** The prompts that are done, from the first on. */
  get done(): readonly ScoredPrompt[] {
    return this.#done;
  }

  /** Adds a batch. */
  async append(batch: readonly ScoredPrompt[]): Promise<void> {
    try {
      await this.#handle.appendFile(batch.map((prompt) => `${JSON.stringify(prompt)}\n`).join(""));
      await this.#handle.sync();
    } catch (error) {
      throw asUserError(error, this.file, "cannot write");
    }
    this.#done.push(...batch);
  }

  /** Drops what was added since the journal was opened. */
  async forgetNew(): Promise<void> {
    await this.#handle.truncate(this.#atStart.bytes);
    this.#done.length = this.#atStart.prompts;
  }

  /** Ends the work on the file; it goes if it is of no more use. */
  async close({ keep }: { keep: boolean }): Promise<void> {
    await this.#handle.close();
    if (!keep) await rm(this.file, { force: true });
  }
}

/** The prompts of all whole batches, and the bytes of the file that hold them. */
async function read(
  file: string,
  settings: JournalSettings,
  batchSize: number,
): Promise<{ done: ScoredPrompt[]; bytes: number }> {
  const content = await readFile(file, "utf8").catch((error) => {
    if (!existsSync(file)) throw new UserError("there is no unfinished run to continue", { file });
    throw asUserError(error, file, "cannot read");
  });
  // Behind the last line break is a line that was not written to its end.
  const [header, ...lines] = content.split("\n").slice(0, -1);
  const found = parse<{ settings: JournalSettings }>(header, file, 1).settings ?? {};
  const changed = Object.keys({ ...found, ...settings }).filter(
    (key) => JSON.stringify(found[key]) !== JSON.stringify(settings[key]),
  );
  if (changed.length > 0) {
    throw new UserError(`was made with other settings: ${changed.join(", ")}`, {
      file,
      hint: "resume with the same model, prompts and options, or delete the file",
    });
  }
  const whole = lines.length === settings.prompts ? lines.length : lines.length - (lines.length % batchSize);
  const kept = lines.slice(0, whole);
  return {
    done: kept.map((line, index) => parse<ScoredPrompt>(line, file, index + 2)),
    bytes: Buffer.byteLength([header, ...kept, ""].join("\n")),
  };
}

function parse<Content>(line: string | undefined, file: string, number: number): Content {
  try {
    const value = JSON.parse(line ?? "") as Content | null;
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Reported below.
  }
  throw new UserError("is damaged", { file, line: number, hint: "delete the file and start again" });
}
