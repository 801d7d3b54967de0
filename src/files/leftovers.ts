import { createHash, randomBytes } from "node:crypto";
import { access, readdir, rename, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { hasProcess, processHost } from "./processes.ts";

/** `tmp` is being written or removed, `old` is about to be replaced. */
type Kind = "tmp" | "old";

/** Names that this process has given out. */
const given = new Set<string>();

/** A new name beside a path, which tells whose it is: `<path>.tmp-<host>-<process>-<random>`. */
export function siblingName(path: string, kind: Kind): string {
  const whole = resolve(path);
  const name = `${basename(whole)}.${kind}-${hostTag()}-${process.pid}-${randomBytes(4).toString("hex")}`;
  given.add(name);
  return join(whole, "..", name);
}

const pattern = /^(?<target>.+)\.(?<kind>tmp|old)-(?<host>[0-9a-f]{8})-(?<pid>\d+)-[0-9a-f]{8}$/;

/** True if a name is one of `siblingName`. */
export function isLeftover(name: string): boolean {
  return pattern.test(name);
}

/**
 * Clears a folder of what killed processes left: half-written things go, and what a process had
 * moved away to replace it comes back unless its replacement is there.
 *
 * @param options.of look only for siblings of this name
 * @param options.alone nobody else works here, so that whatever this process did not make is left
 * over; otherwise only what was made on this machine by a process that is gone
 */
export async function tidyLeftovers(
  folder: string,
  { of, alone = false }: { of?: string; alone?: boolean },
): Promise<void> {
  for (const name of await readdir(folder)) {
    const { target, kind, host, pid } = pattern.exec(name)?.groups ?? {};
    if (target === undefined || (of !== undefined && target !== of) || given.has(name)) continue;
    const dead = alone || (host === hostTag() && (Number(pid) === process.pid || !hasProcess(Number(pid))));
    if (!dead) continue;
    const [left, original] = [join(folder, name), join(folder, target)];
    // Another process may tidy at the same time.
    if (kind === "old" && !(await exists(original))) await rename(left, original).catch(ignoreMissing);
    else await rm(left, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

function hostTag(): string {
  return createHash("sha256").update(processHost()).digest("hex").slice(0, 8);
}
