import { stat } from "node:fs/promises";
import { UserError } from "../errors.ts";
import { modelFingerprint } from "../storage/fingerprint.ts";
import type { ModelFolder } from "../storage/folder.ts";
import type { StartingPoint } from "./starting-point.ts";

/**
 * Tells a file that was written to from one that was not; another file in its place has another
 * `id`.
 */
interface FileState {
  readonly id: string;
  readonly version: string;
}

/**
 * The models that a run reads from and does not change: its reference, and the base of its adapter.
 * Their files are mapped, so what is written into them while the run goes on arrives in its
 * numbers. Files that are replaced or deleted stay what they were for it.
 */
export class FrozenModels {
  readonly #fingerprints: ReadonlyMap<ModelFolder, string>;
  #states: ReadonlyMap<string, FileState>;

  private constructor(fingerprints: ReadonlyMap<ModelFolder, string>, states: ReadonlyMap<string, FileState>) {
    this.#fingerprints = fingerprints;
    this.#states = states;
  }

  /** Identifies the models by their content, which reads their files. */
  static async of(folders: readonly ModelFolder[]): Promise<FrozenModels> {
    const states = await statesOf(folders);
    const fingerprints = new Map<ModelFolder, string>();
    for (const folder of folders) fingerprints.set(folder, await modelFingerprint(folder));
    return new FrozenModels(fingerprints, states);
  }

  /** Identifies one of the models. */
  fingerprintOf(folder: ModelFolder): string {
    return this.#fingerprints.get(folder)!;
  }

  /** Identifies all of them; undefined if there is none. */
  get fingerprint(): string | undefined {
    return [...this.#fingerprints.values()].join(" ") || undefined;
  }

  /**
   * Checks that nothing was written into the files.
   *
   * @throws UserError otherwise.
   */
  async checkUnchanged(): Promise<void> {
    const now = await statesOf(this.#fingerprints.keys());
    const touched = [...now].find(([file, { id, version }]) => {
      const before = this.#states.get(file);
      return before?.id === id && before.version !== version;
    });
    if (!touched) return;
    // A file may get another time without other content.
    const again = await FrozenModels.of([...this.#fingerprints.keys()]);
    if (again.fingerprint !== this.fingerprint) {
      throw new UserError("was overwritten while the run was reading it", {
        file: touched[0],
        hint: "put it back and go on from the last checkpoint; a new model must replace the file, not be written into it",
      });
    }
    this.#states = again.#states;
  }
}

/**
 * The files of whole models; those of an adapter itself are read, not mapped. A file that is gone
 * has no state.
 */
async function statesOf(folders: Iterable<ModelFolder>): Promise<Map<string, FileState>> {
  const states = new Map<string, FileState>();
  for (const { base, parameters } of folders) {
    for (const { file } of (base?.parameters ?? parameters).values()) {
      if (states.has(file)) continue;
      const found = await stat(file, { bigint: true }).catch(() => undefined);
      if (found) states.set(file, { id: `${found.dev} ${found.ino}`, version: `${found.size} ${found.mtimeNs}` });
    }
  }
  return states;
}

/** The folders that a run reads all along: its reference, and what an adapter is put on. */
export function frozenFolders(
  { folder, adapter }: Pick<StartingPoint, "folder" | "adapter">,
  compared: ModelFolder | "start" | undefined,
): ModelFolder[] {
  const reference = compared === "start" ? folder : compared;
  const base = adapter && reference !== folder ? (folder!.base ?? folder) : undefined;
  return [reference, base].filter((model) => model !== undefined);
}
