import { mkdir, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../errors.ts";
import { asUserError, writeFileAtomic } from "../../files/file-system.ts";
import type { CacheFolder } from "./cache-folder.ts";
import { decodeTokenFile, encodeTokenFile, tokenFileBytes } from "./token-file.ts";

/** Bytes that all files together may take: the tokens of some 250 million words. */
const defaultBudget = 2 ** 30;

const fileName = /^[0-9a-f]{64}\.tokens$/;
/** The files that `writeFileAtomic` leaves behind if the process is killed. */
const temporaryName = /^[0-9a-f]{64}\.tokens\.tmp-/;
const staleMilliseconds = 3_600_000;

/**
 * Lists of token ids on disk, each file under the key of what it was made from. Where there is no
 * room, what was not used for longest is removed.
 *
 * It is a cache: nothing that the file system refuses is an error, and a damaged file is as good as
 * none. It holds the user's texts, as tokens, so only the user may read it.
 */
export class TokenCache {
  readonly #folder: string;
  readonly #named: boolean;
  readonly #budget: number;
  readonly #note: (message: string) => void;
  /**
   * Names of files that were read or written here: what one run needs together does not crowd
   * itself out.
   */
  readonly #used = new Set<string>();
  #refused = false;
  #damageNoted = false;

  /**
   * @param note told, once, of a damaged file, and of a folder that the user named and that cannot
   * be used
   */
  constructor({ path, named }: CacheFolder, note: (message: string) => void, { budget = defaultBudget } = {}) {
    this.#folder = join(path, "tokens");
    this.#named = named;
    this.#budget = budget;
    this.#note = note;
  }

  /** The `count` lists under a key; undefined if they are not here. */
  async read(key: string, count: number): Promise<Int32Array[] | undefined> {
    const name = `${key}.tokens`;
    const file = join(this.#folder, name);
    // A file that cannot be read is missing; whether that is worth a note shows when it is to be
    // written.
    const bytes = await readFile(file).catch(onlyRefusals);
    if (!bytes) return undefined;
    const lists = decodeTokenFile(bytes, count);
    if (!lists) {
      if (!this.#damageNoted) this.#note(`${file}: is damaged, so the data is tokenized again`);
      this.#damageNoted = true;
      return undefined;
    }
    this.#used.add(name);
    const now = new Date();
    // In a folder that is read-only the order of removal does not matter.
    await utimes(file, now, now).catch(onlyRefusals);
    return lists;
  }

  /** Keeps lists under a key, if the disk allows it and they fit. */
  async write(key: string, lists: readonly Int32Array[]): Promise<void> {
    if (this.#refused) return;
    const name = `${key}.tokens`;
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      if (!(await this.#makeRoom(name, tokenFileBytes(lists)))) return;
      await writeFileAtomic(join(this.#folder, name), async (handle) => {
        await handle.chmod(0o600);
        await handle.writeFile(encodeTokenFile(lists));
      });
      this.#used.add(name);
    } catch (error) {
      const refusal = asUserError(error, this.#folder, "cannot keep tokens");
      if (!(refusal instanceof UserError)) throw refusal;
      this.#refused = true;
      if (this.#named) this.#note(`${refusal.message}, so the data is tokenized each time`);
    }
  }

  /** Removes the files that were not used for longest until so many bytes fit; whether they do. */
  async #makeRoom(wanted: string, bytes: number): Promise<boolean> {
    const others: { file: string; name: string; size: number; used: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      const file = join(this.#folder, name);
      // Another process may have removed it in the meantime.
      const found = await stat(file).catch(onlyRefusals);
      if (!found) continue;
      if (temporaryName.test(name) && Date.now() - found.mtimeMs > staleMilliseconds) await rm(file, { force: true });
      if (fileName.test(name) && name !== wanted) others.push({ file, name, size: found.size, used: found.mtimeMs });
    }
    let total = others.reduce((sum, { size }) => sum + size, bytes);
    const removable = others.filter(({ name }) => !this.#used.has(name)).sort((a, b) => a.used - b.used);
    const freed = removable.reduce((sum, { size }) => sum + size, 0);
    if (total - freed > this.#budget) return false;
    for (const { file, size } of removable) {
      if (total <= this.#budget) break;
      await rm(file, { force: true });
      total -= size;
    }
    return true;
  }
}

/** Any refusal of the file system means that there is nothing; a fault of ours stays one. */
function onlyRefusals(error: unknown): undefined {
  if (!(asUserError(error, "", "") instanceof UserError)) throw error;
}
