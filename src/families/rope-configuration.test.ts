import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { largestError } from "../../test/helpers/compare.ts";
import { UserError } from "../errors.ts";
import { type Rope, rotaryFactor, rotaryFrequencies } from "../models/rotary-frequencies.ts";
import { unknownKeys } from "./config-keys.ts";
import { familyOf, parseConfiguration } from "./registry.ts";

interface Golden {
  cases: {
    config: Record<string, unknown> & { model_type: string };
    lengths: Record<string, { frequencies: number[]; factor: number }>;
  }[];
}

const golden = JSON.parse(
  readFileSync(new URL("../../test/golden/rotary/frequencies.json", import.meta.url), "utf8"),
) as Golden;
const supported = ["llama", "phi3", "gpt_neox", "stablelm"];
const cases = golden.cases.filter(({ config }) => supported.includes(config.model_type));

const llama = cases[0]!.config;
const parse = (changes: object) => parseConfiguration({ ...llama, ...changes }, "config.json");
const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
const longrope = { rope_type: "longrope", short_factor: Array(8).fill(1), long_factor: Array(8).fill(2) };

test.each(cases)("transformers computes the same for $config", ({ config, lengths }) => {
  const rope = parseConfiguration(config, "config.json") as unknown as Rope;
  for (const [length, { frequencies, factor }] of Object.entries(lengths)) {
    const actual = rotaryFrequencies(rope, Number(length));
    // The golden numbers have 15 digits.
    const ratios = actual.map((frequency, pair) => frequency / frequencies[pair]!);
    expect(largestError(ratios, Array(frequencies.length).fill(1)), length).toBeLessThan(1e-13);
    expect(rotaryFactor(rope)).toBeCloseTo(factor, 13);
  }
});

test.each<[object, string]>([
  [{ rope_scaling: { type: "linear" } }, "rope_scaling.factor: Invalid input: expected number"],
  [{ rope_scaling: { type: "yarn" } }, "rope_scaling.factor: Invalid input: expected number"],
  [{ rope_scaling: { type: "yarn", factor: 2, truncate: "no" } }, "rope_scaling.truncate: Invalid input"],
  [{ rope_scaling: { ...llama3, factor: "8" } }, "rope_scaling.factor: Invalid input: expected number"],
  [{ rope_scaling: { ...llama3, low_freq_factor: 4 } }, "rope_scaling: low_freq_factor must be less"],
  [{ rope_scaling: { ...longrope, long_factor: [1, 2] } }, "rope_scaling.long_factor: has 2 numbers for the 8 pairs"],
  [{ rope_scaling: { ...longrope, short_factor: 1 } }, "rope_scaling.short_factor: Invalid input: expected array"],
  [{ rope_scaling: { type: "mrope" } }, 'rope_scaling: rotary scaling "mrope" is not supported, only default, linear'],
  [{ rope_scaling: { type: 7 } }, "rope_scaling: rotary scaling 7 is not supported"],
  [{ rope_scaling: { factor: 2 } }, "rope_scaling: rope_type is missing"],
  [{ rope_scaling: 2 }, "rope_scaling: Invalid input: expected record"],
  [{ rope_scaling: { rope_theta: "10" } }, "rope_scaling.rope_theta: Invalid input: expected number"],
  [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor: rotating only a part"],
  [{ rope_parameters: { partial_rotary_factor: 0.5 } }, "rope_parameters.partial_rotary_factor: rotating only"],
  [{ rope_parameters: { full_attention: {} } }, "rope_parameters.full_attention: rotary positions that differ by"],
  [
    { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_theta: 5e5 } },
    "rope_scaling: contradicts rope_parameters; keep the one that is meant",
  ],
  [
    { original_max_position_embeddings: 64, rope_scaling: { ...llama3, original_max_position_embeddings: 32 } },
    "rope_scaling.original_max_position_embeddings: 32 contradicts the 64 of the key of this name beside rope_scaling",
  ],
])("refuses %j", (changes, message) => {
  expect(() => parse(changes)).toThrow(UserError);
  expect(() => parse(changes)).toThrow(`config.json: ${message}`);
});

test("an empty object is no scaling, and the same in both places no contradiction", () => {
  expect(parse({ rope_scaling: {} })).toMatchObject({ ropeScaling: undefined });
  expect(parse({ rope_scaling: {}, rope_parameters: { rope_theta: 5 } })).toMatchObject({ ropeTheta: 5 });
  const both = { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { type: "linear", factor: 2 } };
  expect(parse(both)).toMatchObject({ ropeScaling: { type: "linear", factor: 2 } });
});

test("only LongRoPE has a short context", () => {
  expect(parse({ rope_scaling: { ...longrope, original_max_position_embeddings: 32 } })).toMatchObject({
    contextLength: 256,
    shortContextLength: 32,
  });
  expect(parse({ rope_scaling: llama3 })).not.toHaveProperty("shortContextLength");
});

test("LongRoPE's keys are known under its older names", () => {
  const phi3 = golden.cases.find(({ config }) => config.model_type === "phi3")!.config;
  const { rope_type: _, ...factors } = longrope;
  for (const type of ["su", "yarn"]) {
    const raw = { ...phi3, rope_parameters: null, rope_scaling: { type, ...factors, flavour: 1 } };
    const { keys } = familyOf(parseConfiguration(raw, "config.json"));
    expect(unknownKeys(raw, keys)).toEqual(["rope_scaling.flavour"]);
  }
});

describe("keys that the kind of rotary positions does not know are told of", () => {
  test.each<[object, string[]]>([
    [{ rope_scaling: { type: "yarn", factor: 2, finetuned: true } }, ["rope_scaling.finetuned"]],
    [{ rope_parameters: { rope_theta: 5, beta_fast: 3 } }, ["rope_parameters.beta_fast"]],
    [{ rope_scaling: { ...longrope, rope_theta: 5, factor: 2 } }, []],
    [{ factor: 2, rope_type: "linear" }, ["factor", "rope_type"]],
    [{ rope_scaling: { type: "linear", factor: 2, short_factor: [1] } }, ["rope_scaling.short_factor"]],
  ])("in %j", (changes, expected) => {
    const raw = { ...llama, ...changes };
    expect(unknownKeys(raw, familyOf(parse(changes)).keys).sort()).toEqual(expected);
  });
});
