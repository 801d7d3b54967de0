import { expect, test } from "vitest";
import { parseYaml } from "./yaml.ts";

const many = 50_000;

test.each([
  ["brackets that close nothing", "}".repeat(many)],
  ["values one after the other", '"a" '.repeat(many)],
  ["tags", "!a ".repeat(many)],
  ["keys on lines", Array.from({ length: many }, (_, index) => `k${index}: 1`).join("\n")],
  ["keys in one line", `{${Array.from({ length: many }, (_, index) => `k${index}: 1`).join(",")}}`],
])("very many parts are refused before they are parsed: %s", (_, part) => {
  expect(parseYaml(`a: 1\n${part}`)).toMatchObject({ problem: "has more parts than a recipe can have" });
});

test("a list of 5,000 files is a good recipe's", () => {
  const files = Array.from({ length: 5000 }, (_, index) => `  - data/part-${index}.jsonl`).join("\n");
  expect(parseYaml(`train:\n${files}\n`)).toHaveProperty("document");
});
