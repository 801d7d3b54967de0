import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { ortLibraryFile, refuseLibrary } from "./ort-library-file.ts";

test.each([
  ["linux", "x64"],
  ["linux", "arm64"],
  ["darwin", "arm64"],
  ["win32", "x64"],
  ["win32", "arm64"],
])("the package holds a library for %s on %s", (system, processor) => {
  expect(existsSync(ortLibraryFile({ system, processor, musl: false }))).toBe(true);
});

test.each([
  ["darwin", "x64", false, /no library for darwin-x64; tokenwise runs on linux-x64, .* with glibc$/],
  ["linux", "x64", true, /no library for linux-x64 with musl; tokenwise runs on/],
  ["linux", "riscv64", false, /no library for linux-riscv64;/],
  ["freebsd", "x64", false, /no library for freebsd-x64;/],
])("%s on %s (musl: %s) is refused by name", (system, processor, musl, message) => {
  const find = () => ortLibraryFile({ system, processor, musl });
  expect(find).toThrow(UserError);
  expect(find).toThrow(message);
});

test("a library that the system refuses is one clear error", () => {
  expect(() => refuseLibrary(new Error("libstdc++.so.6: cannot open\nshared object"))).toThrow(
    /^ONNX Runtime cannot be loaded: libstdc\+\+\.so\.6: cannot open.{0,2}.*shared object; tokenwise runs on/,
  );
});
