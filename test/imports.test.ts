import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { renewed } from "../scripts/architecture.ts";
import { closureOf, floorOf, importsOf, roomOf, source, sourceFiles } from "../scripts/rooms.ts";

test.each(sourceFiles)("%s imports downwards only", (file) => {
  expect(importsOf(file).filter((target) => floorOf(target) > floorOf(file))).toEqual([]);
});

test("only the engine knows ONNX Runtime, and only the graph the ONNX format", () => {
  const knows = (name: RegExp) => {
    const found = sourceFiles.filter((file) => name.test(readFileSync(join(source, file), "utf8")));
    return [...new Set(found.map(roomOf))];
  };
  expect(knows(/from "(koffi|onnxruntime)/)).toEqual(["engine"]);
  expect(knows(/from "onnx-buf"/)).toEqual(["graph"]);
});

// test/device-memory.test.ts holds it for all that is computed; this names the place.
test("only the engine and the graph's interpreter write into the memory of values", () => {
  const writes = /\.data(\.(set|fill|copyWithin|sort|reverse)\(|\[[^\]]*\]!? *[-+*/]?=(?!=))/;
  const found = sourceFiles.filter(
    (file) => !file.includes("/testing/") && writes.test(readFileSync(join(source, file), "utf8")),
  );
  expect([...new Set(found.map(roomOf))]).toEqual(["engine"]);
});

test("the library names options, and the command line alone their flags", () => {
  // A word of a message that begins with two hyphens; the styles of a page have such names as well.
  const flag = /["'`(][^"'`\n]*?(?<![\w-]|&& )--[a-z][\w-]*/;
  const others = ["storage/foreign-files.ts", "engine/native/native.ts", "data/files/read.ts"];
  const found = sourceFiles.filter((file) => {
    if (["cli", "show"].includes(roomOf(file)) || file.includes("/testing/")) return false;
    const code = readFileSync(join(source, file), "utf8").replace(/^\s*(\/\/|\/?\*+).*$/gm, "");
    return flag.test(code);
  });
  // What other programs are called with.
  expect(found.sort()).toEqual(others.sort());
});

describe("without Node", () => {
  const needsNode = (file: string) => /from "(node:|koffi)/.test(readFileSync(join(source, file), "utf8"));

  test.each(["graph", "models", "families", "objectives", "step"])("%s computes and does nothing else", (room) => {
    const files = sourceFiles.filter((file) => roomOf(file) === room && !file.includes("/testing/"));
    expect(files.filter(needsNode)).toEqual([]);
  });

  test.each(["core.ts", "graph/public.ts", "objectives/public.ts", "step/trainer.ts", "engine/engine.ts"])(
    "all that %s loads runs anywhere",
    (file) => {
      const files = [...closureOf(file)];
      expect(files.filter(needsNode)).toEqual([]);
    },
  );
});

test("the page on the architecture shows the code as it is", () => {
  const page = readFileSync(new URL("../docs/architecture.md", import.meta.url), "utf8");
  // `npx tsx scripts/architecture.ts` renews it.
  expect(renewed(page)).toBe(page);
});
