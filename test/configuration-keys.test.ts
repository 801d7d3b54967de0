/**
 * Every key of a config.json that a family or transformers' class knows: none is passed over in
 * silence, and one that is missing means what it means to transformers.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UserError } from "../src/errors.ts";
import { roleOf, unknownKeys } from "../src/families/config-keys.ts";
import { familyOf, parseConfiguration } from "../src/families/registry.ts";
import { goldenConfiguration, goldenModels } from "./helpers/golden.ts";

type Keys = Record<string, unknown>;

/** What transformers' classes know; `make.py` beside the file says what each part is. */
const { common, classes } = JSON.parse(
  readFileSync(new URL("golden/configurations/keys.json", import.meta.url), "utf8"),
) as { common: Keys; classes: Record<string, { own: Keys; aliases: Record<string, string>; older: string[] }> };

/** They choose the family. */
const choosing = ["architectures", "model_type"];

const families = [...new Set(goldenModels.map((name) => goldenConfiguration(name).model_type as string))];

describe.each(families)("a config.json of %s", (family) => {
  const { own, aliases, older } = classes[family]!;
  const goldens = goldenModels.map(goldenConfiguration).filter(({ model_type }) => model_type === family);
  const { keys } = familyOf(parseConfiguration(goldens[0], "config.json"));
  const ofClass = [...new Set([...goldens, common, own, aliases].flatMap(Object.keys).concat(older))];
  const known = [...new Set([...ofClass, ...[keys.used, keys.only, keys.aliases ?? {}].flatMap(Object.keys)])];
  const inRole = (...roles: ReturnType<typeof roleOf>[]) => known.filter((key) => roles.includes(roleOf(key, keys)));
  // Some keys count only where another one does not say the same.
  const examples = goldens.flatMap((golden) => [
    golden,
    { ...without(golden, "rope_parameters"), rope_scaling: { rope_type: "yarn", factor: 2 } },
    { ...without(golden, "rope_parameters"), rope_scaling: golden.rope_parameters },
    ...Object.keys(golden).map((key) => without(golden, key)),
    withoutLists(golden),
    ...Object.keys(golden.rope_parameters ?? {}).map((key) => ({
      ...golden,
      rope_parameters: without(golden.rope_parameters as Keys, key),
    })),
    ...Object.entries(keys.aliases ?? {}).flatMap(([alias, key]) =>
      [golden, withoutLists(golden)].map((json) => ({ ...without(json, key), [alias]: golden[key] })),
    ),
  ]);

  test("has no key of transformers' class that the family does not know", () => {
    expect(ofClass.filter((key) => roleOf(key, keys) === undefined)).toEqual([]);
  });

  test("with a key of nobody's has it named", () => {
    expect(unknownKeys({ ...goldens[0], logit_scale: 2 }, keys)).toEqual(["logit_scale"]);
  });

  test("means what transformers' defaults mean, where it leaves them out", () => {
    const defaults = { model_type: family, ...own };
    const { meaning } = read(defaults);
    const sizes = Object.keys(own).filter((key) => {
      const left = read(without(defaults, key));
      if (left.problem === undefined) expect(left.meaning, key).toBe(meaning);
      else expect(left.problem).toContain(`config.json: ${key}: `);
      return left.problem !== undefined;
    });
    const least = Object.fromEntries(sizes.map((key) => [key, own[key]]));
    expect(read({ model_type: family, ...least })).toEqual({ meaning });
  });

  test("with a null in place of a value is understood or refused", () => {
    for (const golden of goldens) {
      for (const key of Object.keys(golden)) {
        const { meaning, problem } = read({ ...golden, [key]: null });
        expect(meaning ?? problem, key).toMatch(/^{|^config\.json: /);
      }
    }
  });

  test("with another value in its rotary parameters means something else, or is refused", () => {
    for (const golden of goldens) {
      for (const rope_parameters of others(golden.rope_parameters ?? {})) {
        expect(read({ ...golden, rope_parameters }), JSON.stringify(rope_parameters)).not.toEqual(read(golden));
      }
    }
  });

  test.each(inRole("used", "aliases"))("%s has an effect", (key) => {
    for (const { before, after } of changes(key, examples)) {
      if (after.problem === undefined && after.meaning !== before.meaning) return;
    }
    expect.fail("no other value means anything else");
  });

  test.each(inRole("only"))("%s is refused where it would have an effect that we lack", (key) => {
    const outcomes = [...changes(key, goldens)];
    expect(outcomes.some(({ after }) => after.problem?.startsWith(`config.json: ${key}: `))).toBe(true);
    for (const { before, after } of outcomes) if (after.problem === undefined) expect(after).toEqual(before);
  });

  test.each(inRole("harmless").filter((key) => !choosing.includes(key)))("%s has no effect", (key) => {
    for (const { before, after } of changes(key, goldens)) expect(after).toEqual(before);
  });

  /** What becomes of configurations with other values of a key. */
  function* changes(key: string, configurations: readonly Keys[]) {
    for (const json of configurations) {
      const before = read(json);
      if (before.problem !== undefined) continue;
      for (const value of others(json[key] ?? own[key])) yield { before, after: read({ ...json, [key]: value }) };
    }
  }
});

function without(json: Keys, key: string): Keys {
  return Object.fromEntries(Object.entries(json).filter(([other]) => other !== key));
}

/** Lists have an entry for each layer. */
function withoutLists(json: Keys): Keys {
  return Object.fromEntries(Object.entries(json).filter(([, value]) => !Array.isArray(value)));
}

/** What a config.json means, whatever its text, or what is wrong with it. */
function read(json: Keys): { meaning?: string; problem?: string } {
  try {
    return { meaning: JSON.stringify({ ...parseConfiguration(json, "config.json"), raw: 0 }) };
  } catch (error) {
    if (error instanceof UserError) return { problem: error.message };
    throw error;
  }
}

/** Other values of the same kind. */
function others(value: unknown): unknown[] {
  if (typeof value === "number") return [2 * value, value / 2, value + 1];
  if (typeof value === "boolean") return [!value];
  if (typeof value === "string") return [`${value}x`, "relu"];
  if (Array.isArray(value)) return [value.toReversed(), value.map(() => value[0]), value.map((one) => others(one)[0])];
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => others(inner).map((one) => ({ ...value, [key]: one })));
  }
  return [1, 2, 4, 7, 0.5, true, "x", { rope_type: "linear", factor: 2 }];
}
