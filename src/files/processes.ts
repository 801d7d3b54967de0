import { execFile } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { promisify } from "node:util";

/** Tells a process from every other one, also from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The machine, or the container: where the number means something. */
  readonly host: string;
  /** When the process began, in whatever form the system tells it; undefined where it does not. */
  readonly start?: string | undefined;
}

/**
 * The place in which process numbers mean something. Containers may share the name of their
 * machine, so that on Linux the namespace of process numbers belongs to it.
 */
export function processHost(): string {
  try {
    return `${hostname()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

/** This process. */
export async function thisProcess(): Promise<ProcessIdentity> {
  return { pid: process.pid, host: processHost(), start: await processStart(process.pid) };
}

/**
 * True if a process lives; undefined where that cannot be told, because it belongs to another
 * machine or container. Where the system does not tell when a process began, a later process of the
 * same number passes for it.
 */
export async function isAlive({ pid, host, start }: ProcessIdentity): Promise<boolean | undefined> {
  if (host !== processHost()) return undefined;
  if (!hasProcess(pid)) return false;
  const now = await processStart(pid);
  return start === undefined || now === undefined || start === now;
}

/** True if a process with this number is here. */
export function hasProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user may not be signalled, but it is there.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function processStart(pid: number): Promise<string | undefined> {
  try {
    if (process.platform === "linux") return linuxStart(pid);
    if (process.platform === "win32") return undefined;
    const environment = { ...process.env, LC_ALL: "C", TZ: "UTC" };
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)], { env: environment });
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Clock ticks from the start of the machine, and which start of the machine that was. */
function linuxStart(pid: number): string {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  // The name of the program, in brackets, may hold anything.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ");
  return `${boot} ${fields[19]}`;
}
