import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { userCacheFolder } from "./cache-folder.ts";

test("TOKENWISE_CACHE names the folder or turns the cache off; empty, it counts as not given", () => {
  const system = { XDG_CACHE_HOME: resolve("caches") };
  expect(userCacheFolder({ ...system, TOKENWISE_CACHE: "here" }, "linux")).toEqual({
    path: resolve("here"),
    named: true,
  });
  expect(userCacheFolder({ ...system, TOKENWISE_CACHE: "off" }, "linux")).toBeUndefined();
  expect(userCacheFolder({ ...system, TOKENWISE_CACHE: "" }, "linux")).toEqual({
    path: resolve("caches", "tokenwise"),
    named: false,
  });
});

test("otherwise it is where the system keeps caches", () => {
  const path = (environment: Record<string, string>, platform: NodeJS.Platform) =>
    userCacheFolder(environment, platform)?.path;
  expect(path({}, "linux")).toBe(join(homedir(), ".cache", "tokenwise"));
  expect(path({ XDG_CACHE_HOME: "relative" }, "linux")).toBe(join(homedir(), ".cache", "tokenwise"));
  expect(path({}, "darwin")).toBe(join(homedir(), "Library", "Caches", "tokenwise"));
  expect(path({ LOCALAPPDATA: resolve("local") }, "win32")).toBe(resolve("local", "tokenwise"));
  expect(path({}, "win32")).toBe(join(homedir(), "AppData", "Local", "tokenwise"));
});
