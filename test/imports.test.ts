import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const source = fileURLToPath(new URL("../src", import.meta.url));

/**
 * The rooms of the house from the ground up. A file may import from its own room and from what stands before it. Rooms
 * in one line share a floor and may import from each other.
 */
const floors: readonly (readonly string[])[] = [
  ["one-line.ts"],
  ["errors.ts"],
  ["files.ts", "number-formats.ts", "words.ts", "random.ts", "hash.ts"],
  ["graph"],
  ["engine"],
  ["data"],
  ["models", "families", "storage"],
  ["objectives"],
  ["step"],
  ["importance"],
  ["recipe"],
  ["generate"],
  ["runs"],
  ["train"],
  ["pairs"],
  ["evaluate"],
  ["weigh"],
  ["show"],
  ["init"],
  ["demo"],
  ["index.ts"],
  ["cli"],
];

const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
);

function roomOf(file: string): number {
  const [room] = file.split(/[\\/]/);
  const floor = floors.findIndex((rooms) => rooms.includes(room!));
  if (floor < 0) throw new Error(`${file}: src/${room} has no place in the order`);
  return floor;
}

test.each(files)("%s imports downwards only", (file) => {
  const imports = [...readFileSync(join(source, file), "utf8").matchAll(/from "(\.[^"]+)"/g)];
  const upwards = imports
    .map(([, path]) => relative(source, resolve(source, dirname(file), path!)))
    .filter((target) => !target.startsWith("..") && roomOf(target) > roomOf(file));
  expect(upwards).toEqual([]);
});

test("only the engine knows ONNX Runtime, and only the graph the ONNX format", () => {
  const knows = (name: RegExp) =>
    files.filter((file) => name.test(readFileSync(join(source, file), "utf8"))).map(roomOf);
  expect(new Set(knows(/from "(koffi|onnxruntime)/))).toEqual(new Set([roomOf("engine/")]));
  expect(new Set(knows(/from "onnx-buf"/))).toEqual(new Set([roomOf("graph/")]));
});
