/**
 * Builds what the package consists of: `dist/`, compiled from `src/`, and `runtime/`, the shared libraries of ONNX
 * Runtime for every platform that has one. They are taken from onnxruntime-node, a dependency of development only:
 * installing that package would download CUDA libraries from another host, which tokenwise does not use.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { resolve } = createRequire(import.meta.url);

/** Each platform's library in onnxruntime-node, and how we name it. */
const libraries = [
  ["linux/x64/libonnxruntime.so.1", "linux-x64.so"],
  ["linux/arm64/libonnxruntime.so.1", "linux-arm64.so"],
  ["darwin/arm64/libonnxruntime.1.dylib", "darwin-arm64.dylib"],
  ["win32/x64/onnxruntime.dll", "win32-x64.dll"],
  ["win32/arm64/onnxruntime.dll", "win32-arm64.dll"],
];

compile();
gatherLibraries();

function compile() {
  rmSync(join(root, "dist"), { recursive: true, force: true });
  const compiler = join(dirname(resolve("typescript/package.json")), "bin", "tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
  chmodSync(join(root, "dist/cli/main.js"), 0o755);
}

function gatherLibraries() {
  const source = dirname(resolve("onnxruntime-node/package.json"));
  const target = join(root, "runtime");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const [from, to] of libraries) place(join(source, "bin/napi-v6", from), join(target, to));
  const { version } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
  writeFileSync(join(target, "version.json"), `${JSON.stringify({ onnxruntime: version })}\n`);
}

/** Places a file without using its space twice, where the file system can. */
function place(from, to) {
  if (!existsSync(from)) throw new Error(`${from} is missing: onnxruntime-node has another layout than expected`);
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
