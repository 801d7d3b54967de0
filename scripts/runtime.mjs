/**
 * Fills `runtime/` with the shared libraries of ONNX Runtime, one for each platform that has one. They are taken from
 * onnxruntime-node, a dependency of development only: installing that package would download CUDA libraries from
 * another host, which tokenwise does not use.
 */
import { copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const source = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
const target = fileURLToPath(new URL("../runtime", import.meta.url));

/** Each platform's library in onnxruntime-node, and how we name it. */
const libraries = [
  ["linux/x64/libonnxruntime.so.1", "linux-x64.so"],
  ["linux/arm64/libonnxruntime.so.1", "linux-arm64.so"],
  ["darwin/arm64/libonnxruntime.1.dylib", "darwin-arm64.dylib"],
  ["win32/x64/onnxruntime.dll", "win32-x64.dll"],
  ["win32/arm64/onnxruntime.dll", "win32-arm64.dll"],
];

/** Fills the folder anew. */
export function gatherLibraries() {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const [from, to] of libraries) place(join(source, "bin/napi-v6", from), join(target, to));
  const { version } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
  writeFileSync(join(target, "version.json"), `${JSON.stringify({ onnxruntime: version })}\n`);
}

/** For tests in a checkout that was not built. */
export function setup() {
  if (!existsSync(target)) gatherLibraries();
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
