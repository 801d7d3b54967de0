/** Builds what the package consists of: `dist/`, compiled from `src/`, and `runtime/`. */
import { spawnSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gatherLibraries } from "./runtime.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

compile();
gatherLibraries();

function compile() {
  rmSync(join(root, "dist"), { recursive: true, force: true });
  const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
  chmodSync(join(root, "dist/cli/main.js"), 0o755);
}
