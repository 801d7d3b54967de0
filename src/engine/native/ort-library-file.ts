import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { UserError } from "../../errors.ts";

/** The platforms that ONNX Runtime is shipped for, and how a shared library's name ends there. */
const platforms: Readonly<Record<string, string>> = {
  "linux-x64": "so",
  "linux-arm64": "so",
  "darwin-arm64": "dylib",
  "win32-x64": "dll",
  "win32-arm64": "dll",
};

const supported = `tokenwise runs on ${Object.keys(platforms).join(", ")}, on Linux with glibc`;

/** A machine, as far as it decides which library fits. */
export interface Platform {
  readonly system: string;
  readonly processor: string;
  /** The C library of Linux is not glibc but musl, as on Alpine. */
  readonly musl: boolean;
}

/**
 * The file of ONNX Runtime's library for a platform. It lies in `runtime/`, which the build fills.
 *
 * @throws UserError for a platform without one.
 */
export function ortLibraryFile(platform: Platform = thisPlatform()): string {
  const name = `${platform.system}-${platform.processor}`;
  const ending = platforms[name];
  if (!ending || platform.musl) {
    throw new UserError(`ONNX Runtime has no library for ${name}${platform.musl ? " with musl" : ""}`, {
      hint: supported,
    });
  }
  const file = fileURLToPath(new URL(`../../../runtime/${name}.${ending}`, import.meta.url));
  if (!existsSync(file)) throw new UserError("is missing", { file, hint: "in a clone, run: npm run build" });
  return file;
}

/** Throws a `UserError` for a library that the system would not load. */
export function refuseLibrary(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new UserError(`ONNX Runtime cannot be loaded: ${reason}`, { hint: supported, cause });
}

function thisPlatform(): Platform {
  return { system: process.platform, processor: process.arch, musl: process.platform === "linux" && !hasGlibc() };
}

function hasGlibc(): boolean {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime !== undefined;
}
