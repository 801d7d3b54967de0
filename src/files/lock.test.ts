import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UserError } from "../errors.ts";
import { FileLock, lockBeside, withLock } from "./lock.ts";
import { thisProcess } from "./processes.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-"));
  file = join(folder, "run", "lock");
});
afterEach(() => rm(folder, { recursive: true }));

const take = () => FileLock.take(file, "runs/a");
const write = async (changes: object) => {
  const holder = { ...(await thisProcess()), since: "2026-01-02T03:04:05.678Z", token: "other", ...changes };
  await mkdir(join(folder, "run"), { recursive: true });
  await writeFile(file, JSON.stringify(holder));
};

/** A process that takes the lock, says so or why not, and lives until it is killed. */
async function otherProcess() {
  const module = fileURLToPath(new URL("lock.ts", import.meta.url));
  const work = `
    import { FileLock } from ${JSON.stringify(module)};
    await FileLock.take(${JSON.stringify(file)}, "runs/a").then(() => console.log("taken"), (e) => console.log(e.message));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", work]);
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  const kill = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { said: String(said).trim(), pid: child.pid, kill };
}

test("what is taken is refused until it is given back", async () => {
  const lock = await take();
  await expect(take()).rejects.toThrow(/^runs\/a: in use by this process since 2/);
  await lock.release();
  await (await take()).release();
  expect(await readdir(folder)).toEqual([]);
});

test("folders that were made go with the lock, but not what has come into them", async () => {
  await mkdir(join(folder, "mine"));
  await withLock([join(folder, "mine", "a", "b", "lock"), "a"], async () => {});
  expect(await readdir(folder, { recursive: true })).toEqual(["mine"]);
  await withLock([join(folder, "mine", "a", "b", "lock"), "a"], () => writeFile(join(folder, "mine", "a", "file"), ""));
  expect((await readdir(folder, { recursive: true })).sort()).toEqual(["mine", "mine/a", "mine/a/file"]);
});

test("a process that lives holds it, one that was killed does not", async () => {
  const { said, pid, kill } = await otherProcess();
  try {
    expect(said).toBe("taken");
    await expect(take()).rejects.toThrow(`runs/a: in use by process ${pid} since `);
  } finally {
    await kill();
  }
  await (await take()).release();
  expect(await readdir(folder)).toEqual(["run"]);
  expect(await readdir(join(folder, "run"))).toEqual([]);
});

test("of processes that find a dead one's lock at the same time, one takes it", async () => {
  await write({ pid: 2 ** 22 + 1 });
  const others = await Promise.all([otherProcess(), otherProcess(), otherProcess(), otherProcess()]);
  for (const { kill } of others) await kill();
  const [winner] = others.filter(({ said }) => said === "taken");
  expect(others.filter(({ said }) => said.startsWith(`runs/a: in use by process ${winner?.pid} since`))).toHaveLength(
    3,
  );
  expect(await readdir(join(folder, "run"))).toEqual(["lock"]);
});

test.each<[string, object]>([
  ["a number that no process has", { pid: 2 ** 22 + 1 }],
  ["a later process of the same number", { start: "another boot 17" }],
])("%s holds nothing", async (_, changes) => {
  await write(changes);
  await (await take()).release();
});

test.each(["", "{", '{"pid": 1}'])("a lock that was not written to its end (%j) holds nothing", async (text) => {
  await mkdir(join(folder, "run"));
  await writeFile(file, text);
  await (await take()).release();
});

test("a process of another machine holds it until the file is deleted", async () => {
  await write({ host: "elsewhere pid:[1]" });
  const error = await take().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  expect((error as Error).message).toBe(
    `runs/a: in use by process ${process.pid} on elsewhere since 2026-01-02T03:04:05.678Z, which cannot be looked for ` +
      `from here; if that process has ended, delete ${file}`,
  );
  await rm(file);
  await (await take()).release();
});

test("a container of the same machine is another place", async () => {
  await write({ host: `${hostname()} pid:[1]` });
  await expect(take()).rejects.toThrow(/cannot be looked for from here/);
});

test("what somebody else holds by now is not given back", async () => {
  const lock = await take();
  await write({});
  await lock.release();
  expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ token: "other" });
});

test("the lock beside a path is the same by every name", async () => {
  expect(await lockBeside(join(folder, "x", "..", "out"))).toEqual([join(folder, "out.lock"), join(folder, "out")]);
});
