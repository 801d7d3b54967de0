/**
 * The folders that Hugging Face's libraries keep downloaded models in:
 * `models--<owner>--<name>/snapshots/<commit>`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { isSystemFile } from "../files/system-files.ts";

/** The snapshots of a model's folder in the cache; undefined for any other folder. */
export function snapshotsOf(path: string): string[] | undefined {
  const snapshots = basename(path) === "snapshots" ? path : join(path, "snapshots");
  if (!/^models--/.test(basename(join(snapshots, ".."))) || !existsSync(snapshots)) return undefined;
  return readdirSync(snapshots)
    .filter((name) => !isSystemFile(name))
    .sort()
    .map((name) => join(snapshots, name));
}

/**
 * The snapshot that a model's folder in the cache means: that of its `main` branch, or the only
 * one.
 */
export function mainSnapshot(path: string): string | undefined {
  const snapshots = snapshotsOf(path) ?? [];
  const main = join(path, basename(path) === "snapshots" ? ".." : "", "refs", "main");
  const commit = existsSync(main) ? readFileSync(main, "utf8").trim() : undefined;
  return (
    snapshots.find((snapshot) => basename(snapshot) === commit) ?? (snapshots.length === 1 ? snapshots[0] : undefined)
  );
}

/**
 * The folder in which this machine's cache holds a model of the Hub; undefined if there is none.
 */
export function cachedModel(
  name: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  if (!/^[\w.-]+\/[\w.-]+$/.test(name)) return undefined;
  const { HF_HUB_CACHE, HF_HOME = join(homedir(), ".cache", "huggingface") } = environment;
  const folder = join(HF_HUB_CACHE ?? join(HF_HOME, "hub"), `models--${name.replace("/", "--")}`);
  return mainSnapshot(folder) === undefined ? undefined : folder;
}
