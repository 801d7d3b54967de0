import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { mkdir, readFile, realpath, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { asUserError } from "./file-system.ts";
import { siblingName } from "./leftovers.ts";
import { isAlive, thisProcess } from "./processes.ts";

const holderSchema = z.object({
  pid: z.int().positive(),
  host: z.string(),
  start: z.string().optional(),
  since: z.string(),
  /** Tells one taking of a lock from another. */
  token: z.string(),
});
type Holder = z.output<typeof holderSchema>;

/** Milliseconds between two looks at a lock that is just being written, and how many there are. */
const pause = 50;
const looks = 10;

/**
 * A file that says that its process uses something, for as long as that process lives. A process
 * that was killed leaves the file but holds nothing: the next one takes over. A process of another
 * machine or container cannot be looked for, so its lock holds until the file is deleted.
 */
export class FileLock {
  readonly #file: string;
  readonly #token: string;
  /** The topmost folder that was made for the lock. */
  readonly #made: string | undefined;
  readonly #onExit = () => this.#remove();

  private constructor(file: string, token: string, made: string | undefined) {
    this.#file = file;
    this.#token = token;
    this.#made = made;
    process.once("exit", this.#onExit);
  }

  /**
   * Takes a lock; missing folders are made.
   *
   * @param file the lock's own file
   * @param subject the folder or file that is used
   * @throws UserError if another process holds it, or this one does already, and where the file
   * system refuses.
   */
  static async take(file: string, subject: string): Promise<FileLock> {
    const holder: Holder = {
      ...(await thisProcess()),
      since: new Date().toISOString(),
      token: randomBytes(8).toString("hex"),
    };
    let made: string | undefined;
    try {
      do made = (await mkdir(dirname(resolve(file)), { recursive: true })) ?? made;
      while (!(await create(file, holder, subject)));
      return new FileLock(file, holder.token, made);
    } catch (error) {
      throw asUserError(error, subject, "cannot lock");
    }
  }

  /**
   * Gives the lock back, and removes the folders that were made for it where nothing has come into
   * them.
   */
  async release(): Promise<void> {
    process.off("exit", this.#onExit);
    this.#remove();
    if (this.#made === undefined) return;
    const top = resolve(this.#made);
    for (let folder = dirname(resolve(this.#file)); folder.startsWith(top); folder = dirname(folder)) {
      const removed = await rmdir(folder).then(
        () => true,
        () => false,
      );
      if (!removed) return;
    }
  }

  /** Another process may have got the file if somebody deleted it. */
  #remove(): void {
    try {
      if ((JSON.parse(readFileSync(this.#file, "utf8")) as Holder).token === this.#token) rmSync(this.#file);
    } catch {
      // It is gone, or belongs to somebody else.
    }
  }
}

/** The lock of a file or folder that is made whole, beside it: its file, and what it is for. */
export async function lockBeside(path: string): Promise<[file: string, subject: string]> {
  const target = await realpath(path).catch(() => resolve(path));
  return [`${target}.lock`, path];
}

/** Does work under a lock. */
export async function withLock<Result>(
  [file, subject]: readonly [file: string, subject: string],
  work: () => Promise<Result>,
): Promise<Result> {
  const lock = await FileLock.take(file, subject);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/**
 * @returns whether the file was made; otherwise it is worth another try
 * @throws UserError if a process holds the lock
 */
async function create(file: string, holder: Holder, subject: string): Promise<boolean> {
  try {
    await writeFile(file, `${JSON.stringify(holder, undefined, 2)}\n`, { flag: "wx" });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") await removeIfDead(file, subject);
    // Another process that gives its lock back may just have removed the folder.
    else if (code !== "ENOENT") throw error;
    return false;
  }
}

/** @throws UserError unless the lock's process is known to be dead. */
async function removeIfDead(file: string, subject: string): Promise<void> {
  const holder = await readHolder(file);
  if (holder === "gone") return;
  if (holder !== "damaged") {
    const alive = await isAlive(holder);
    if (alive !== false) throw inUse(holder, alive, { file, subject });
  }
  // Two processes may find the same dead one. What is moved away must be what was looked at.
  const aside = siblingName(file, "tmp");
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = await readHolder(aside);
  const token = (found: typeof moved) => (typeof found === "string" ? found : found.token);
  if (token(moved) !== token(holder)) await rename(aside, file);
  else await rm(aside, { force: true });
}

async function readHolder(file: string): Promise<Holder | "damaged" | "gone"> {
  for (let look = 0; look < looks; look++) {
    const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (text === undefined) return "gone";
    const holder = parseHolder(text);
    if (holder) return holder;
    // Its process may be about to write it.
    await setTimeout(pause);
  }
  return "damaged";
}

function parseHolder(text: string): Holder | undefined {
  try {
    return holderSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function inUse(
  { pid, host, since }: Holder,
  alive: true | undefined,
  { file, subject }: { file: string; subject: string },
): UserError {
  if (alive && pid === process.pid) return new UserError(`in use by this process since ${since}`, { file: subject });
  if (alive) {
    const hint = "wait until it has ended, or choose another output";
    return new UserError(`in use by process ${pid} since ${since}`, { file: subject, hint });
  }
  const name = host.split(" ")[0];
  return new UserError(`in use by process ${pid} on ${name} since ${since}, which cannot be looked for from here`, {
    file: subject,
    hint: `if that process has ended, delete ${file}`,
  });
}
