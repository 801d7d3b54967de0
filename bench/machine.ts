import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, totalmem } from "node:os";

/** Where measurements were made. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  /** The instructions that decide how fast matrices multiply, where the system tells (Linux). */
  flags: string[];
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]!.model,
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    flags: processorFlags(),
  };
}

function processorFlags(): string[] {
  try {
    const [, all = ""] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    return all.split(/\s+/).filter((flag) => /^(fma|avx|amx|asimd|bf16|i8mm|sve)/.test(flag));
  } catch {
    return [];
  }
}

/** Versions of what is measured here. */
export function versions(): Record<string, string> {
  const own = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  const runtime = createRequire(import.meta.url)("../runtime/version.json") as { onnxruntime: string };
  return { node: process.versions.node, tokenwise: own.version, onnxruntime: runtime.onnxruntime };
}

/** A Python that has torch and numpy. */
export interface Python {
  command: string;
  torch: string;
  /** The version of TRL, if it has that with its adapters (PEFT) as well. */
  trl?: string;
}

/** The first of some commands that is such a Python. */
export function findPython(commands: readonly string[]): Python | undefined {
  for (const command of commands) {
    const { status, stdout } = spawnSync(command, ["-c", "import numpy, torch; print(torch.__version__)"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    if (status === 0) return { command, torch: stdout.trim(), ...trlOf(command) };
  }
  return undefined;
}

/** The version of the TRL that a Python has. */
function trlOf(command: string): Pick<Python, "trl"> {
  // Without importing it, which takes seconds.
  const code = "from importlib.metadata import version; version('peft'); print(version('trl'))";
  const { status, stdout } = spawnSync(command, ["-c", code], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return status === 0 ? { trl: stdout.trim() } : {};
}
