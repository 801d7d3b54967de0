/**
 * Checks the package as a user meets it: packs it, installs it into an empty folder where only the npm registry can be
 * reached, and runs the command line from there with no host reachable at all.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const guard = join(root, "scripts", "only-host.cjs");
/** Packages that may have an install script. koffi's tries its prebuilt binary and ends. */
const mayHaveScripts = ["koffi"];

const folder = mkdtempSync(join(tmpdir(), "tokenwise Prüfung "));
try {
  check(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function check(folder) {
  npm(root, "pack", "--silent", "--pack-destination", folder);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  const project = join(folder, "empty folder ä");
  mkdirSync(project);
  npm(project, "install", "--no-audit", "--no-fund", join(folder, tarball));
  const { packages } = JSON.parse(readFileSync(join(project, "package-lock.json"), "utf8"));
  const installed = Object.entries(packages).filter(([path]) => path && existsSync(join(project, path)));
  const withScripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path);
  assert.deepEqual(
    withScripts,
    mayHaveScripts.map((name) => `node_modules/${name}`),
  );
  const own = join(project, "node_modules/tokenwise");
  for (const part of ["LICENSE", "docs/recipes.md", "recipes", "licenses/onnxruntime/ThirdPartyNotices.txt"]) {
    assert(existsSync(join(own, part)), `${part} is not in the package`);
  }
  assert.match(tokenwise(project, "--help"), /Usage: tokenwise/);
  tokenwise(project, "init", join(own, "demo/model"), join(own, "demo/pairs.jsonl"), "--output", "recipe.yaml");
  tokenwise(project, "train", "recipe.yaml", "--set", "output=run", "epochs=0.05");
  assert(existsSync(join(project, "run/model/model.safetensors")), "training left no model");
  const sizes = [statSync(join(folder, tarball)).size, sizeOf(own), sizeOf(join(project, "node_modules"))];
  const [packed, unpacked, all] = sizes.map((bytes) => `${Math.round(bytes / 1e6)} MB`);
  console.log(`package ${packed}, unpacked ${unpacked}; installed: ${installed.length} packages, ${all}`);
}

function npm(directory, ...args) {
  const { hostname } = new URL(runNpm(root, {}, "config", "get", "registry").trim());
  const proxies = ["proxy", "https-proxy"].map((key) => runNpm(root, {}, "config", "get", key).trim());
  const hosts = proxies.filter((address) => URL.canParse(address)).map((address) => new URL(address).hostname);
  return runNpm(directory, underGuard([hostname, ...hosts]), ...args);
}

/** Runs npm without the settings that an npm around this script has put into the environment. */
function runNpm(directory, environment, ...args) {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^npm_(config_(onnxruntime|local)|package|lifecycle)/.test(name),
  );
  return run("npm", args, directory, { ...Object.fromEntries(own), ...environment });
}

function tokenwise(directory, ...args) {
  return run("npx", ["--no-install", "tokenwise", ...args], directory, { ...process.env, ...underGuard([]) });
}

function underGuard(hosts) {
  return { NODE_OPTIONS: `--require "${guard.replaceAll("\\", "/")}"`, ONLY_HOSTS: hosts.join(",") };
}

function run(command, args, cwd, env) {
  const shell = process.platform === "win32";
  return execFileSync(command, args, { cwd, env, shell, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

function sizeOf(directory) {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
