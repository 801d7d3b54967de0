import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/** The folder for data that tokenwise can make again. */
export interface CacheFolder {
  readonly path: string;
  /** True if the user named it: a problem with it is then reported. */
  readonly named: boolean;
}

/**
 * The user's cache folder: `TOKENWISE_CACHE`, else `tokenwise` where the operating system keeps
 * caches. It need not be there yet.
 *
 * @returns undefined if `TOKENWISE_CACHE` is `off`, or where there is no home folder
 */
export function userCacheFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): CacheFolder | undefined {
  const named = environment.TOKENWISE_CACHE;
  if (named === "off") return undefined;
  if (named) return { path: resolve(named), named: true };
  const caches = systemCaches(environment, platform);
  return caches === undefined ? undefined : { path: join(caches, "tokenwise"), named: false };
}

function systemCaches(
  environment: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): string | undefined {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = environment;
  if (platform === "win32" && LOCALAPPDATA) return LOCALAPPDATA;
  // The XDG specification has relative paths ignored.
  if (platform !== "win32" && XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME)) return XDG_CACHE_HOME;
  const home = homeFolder();
  if (home === undefined) return undefined;
  if (platform === "win32") return join(home, "AppData", "Local");
  return platform === "darwin" ? join(home, "Library", "Caches") : join(home, ".cache");
}

/**
 * A user without an entry in the system's list and without `HOME`, as in some containers, has none.
 */
function homeFolder(): string | undefined {
  try {
    return homedir() || undefined;
  } catch {
    return undefined;
  }
}
