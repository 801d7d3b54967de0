import { createRequire } from "node:module";
import type koffi from "koffi";
import { UserError } from "../../errors.ts";

/** A native address. */
export type Pointer = bigint;

let loaded: typeof koffi | undefined;

/**
 * koffi, which calls functions of shared libraries. It is loaded at first use, so that commands
 * which compute nothing run on every platform.
 *
 * @throws UserError where koffi has no binary for the platform, or it was left out of the
 * installation.
 */
export function native(): typeof koffi {
  loaded ??= load();
  return loaded;
}

function load(): typeof koffi {
  const library = required();
  // The default stack of asynchronous calls is too small for ONNX Runtime's graph optimizer. It can
  // be set only before the first library is loaded.
  library.config({ async_stack_size: 8 << 20 });
  return library;
}

function required(): typeof koffi {
  try {
    const module = createRequire(import.meta.url)("koffi") as typeof koffi & { default?: typeof koffi };
    return module.default ?? module;
  } catch (cause) {
    const name = `@koromix/koffi-${process.platform}-${process.arch}`;
    throw new UserError(`native libraries cannot be called here: the package ${name} is not installed`, {
      hint: "install again on this machine, with optional dependencies (npm install --include=optional)",
      cause,
    });
  }
}
