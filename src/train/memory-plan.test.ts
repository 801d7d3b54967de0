import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { largestError } from "../../test/helpers/compare.ts";
import { pairRecords, temporaryFolder, tinyRecipe, trainTiny, writeJsonLines } from "../../test/helpers/runs.ts";
import { example, randomExamples, tinyConfiguration } from "../../test/helpers/tiny.ts";
import type { TokenizedExample } from "../data/example.ts";
import { createObjective } from "../objectives/index.ts";
import { parseRecipe } from "../recipe/parse.ts";
import type { TrainedModel } from "../runs/starting-point.ts";
import { planMemory } from "./memory-plan.ts";

const configuration = tinyConfiguration({
  ...{
    hidden_size: 512,
    intermediate_size: 1024,
    num_hidden_layers: 12,
    vocab_size: 4096,
    max_position_embeddings: 512,
  },
});
const examples = randomExamples(
  1,
  Array.from({ length: 16 }, () => [40, 60, 60] as const),
);

function plan(
  changes: Readonly<Record<string, unknown>>,
  {
    data = examples,
    machineBytes = 64e9,
    model = { configuration },
  }: { data?: readonly TokenizedExample[]; machineBytes?: number; model?: TrainedModel } = {},
) {
  const settings = { objective: { name: "tdpo2" }, batchSize: 16, microbatch: { tokens: 2048 }, ...changes };
  const recipe = parseRecipe(tinyRecipe("/nowhere", settings), "recipe.yaml");
  const planned = planMemory(recipe, createObjective(recipe.objective), model, data, machineBytes);
  const { activationCheckpointing, referenceCache } = planned.recipe;
  return { ...planned, checkpointing: activationCheckpointing, ahead: referenceCache.ahead };
}

describe("what is done to keep to the memory", () => {
  test("nothing where nothing is asked, or there is enough", () => {
    expect(plan({})).toMatchObject({ checkpointing: false, ahead: false, note: undefined, warning: undefined });
    expect(plan({ memory: "100GB" })).toMatchObject({ checkpointing: false, ahead: false, warning: undefined });
  });

  test("more and more, the less there is", () => {
    const measures = [];
    for (let megabytes = 3000; megabytes > 300; megabytes -= 50) {
      const { checkpointing, ahead, warning } = plan({ memory: `${megabytes}MB` });
      measures.push(
        [ahead && "ahead", checkpointing && "checkpointing", warning && "warning"].filter(Boolean).join(" "),
      );
    }
    expect([...new Set(measures)]).toEqual([
      "",
      "ahead",
      "checkpointing",
      "ahead checkpointing",
      "ahead checkpointing warning",
    ]);
  });

  test.each([
    ["300MB", /about \d+MB of 300MB by estimate/, /may take \d+MB, more than the 300MB allowed/],
    ["0.3 GB", /about \d\.\d GB of 0\.3 GB by estimate/, /may take \d\.\d GB, more than the 0\.3 GB allowed/],
  ])("sizes are in the unit of %s", (memory, note, warning) => {
    const planned = plan({ memory });
    expect(planned.note).toMatch(note);
    expect(planned.warning).toMatch(warning);
  });

  test("no cache where there is no reference, or none is wanted", () => {
    expect(plan({ memory: "1MB", objective: { name: "sft" } })).toMatchObject({ checkpointing: true, ahead: false });
    expect(plan({ memory: "1MB", referenceCache: { gigabytes: 0 } })).toMatchObject({
      checkpointing: true,
      ahead: false,
    });
  });

  test("an adapter has nothing to gain from a cached reference, and fits where the model does not", () => {
    const model = { configuration, adapter: { parameters: 100_000, frozenBytes: 0 } };
    const memory = "600MB";
    expect(plan({ memory, model: "m" }).warning).toContain("or train an adapter with `lora: {}`");
    const adapted = plan({ memory }, { model });
    expect(adapted).toMatchObject({ ahead: false, checkpointing: true, warning: undefined });
    expect(plan({ memory: "300MB" }, { model }).warning).not.toContain("adapter");
    const wide = { ...model, adapter: { ...model.adapter, frozenBytes: 2e8 } };
    expect(plan({ memory }, { model: wide }).warning).toBeDefined();
  });

  test("a larger vocabulary needs no other measures", () => {
    const [small, large] = [32_768, 262_144].map((vocab_size) => {
      const wide = tinyConfiguration({ hidden_size: 64, vocab_size, max_position_embeddings: 512 });
      const model = { configuration: wide, adapter: { parameters: 1000, frozenBytes: 0 } };
      return plan({ memory: "600MB" }, { model });
    });
    expect(small).toMatchObject({ checkpointing: false, warning: undefined });
    expect(large).toEqual(small);
  });

  test("what the recipe asks for itself stays on", () => {
    const asked = { activationCheckpointing: true, referenceCache: { ahead: true }, memory: "100GB" };
    expect(plan(asked)).toMatchObject({ checkpointing: true, ahead: true });
  });
});

describe("an example that does not fit even alone", () => {
  const long = (line: number, ...lengths: [number, number, number]) => ({
    ...randomExamples(2, [lengths])[0]!,
    place: { file: "pairs.jsonl", line },
  });
  const data = [...examples, long(17, 3000, 2500, 2000), ...examples, long(40, 2000, 3500, 3000), long(41, 50, 60, 40)];
  const settings = { microbatch: { tokens: 512 } };
  const most = (limit: string) =>
    new RegExp(
      `^the example at pairs\\.jsonl:40 is too long: with its 8,500 tokens the run may take [\\d.]+ ?[GM]B, more than ${limit}; ` +
        "set `data\\.maxLength` to (\\d+) or less \\(1 more example is too long\\)$",
    );

  test.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
    ["memory", { ...settings, memory: "2GB" }, most("the 2GB allowed")],
    ["megabytes", { ...settings, memory: "2000 MB" }, most("the 2000 MB allowed")],
    ["the machine", settings, most("the 2\\.0 GB of this machine")],
  ])("is named, with a length that fits: %s", (_, changes, message) => {
    const { warning, ahead, checkpointing } = plan(changes, { data, machineBytes: 2e9 });
    expect(warning).toMatch(message);
    if (!("memory" in changes)) expect([ahead, checkpointing]).toEqual([false, false]);
    const maxLength = Number(message.exec(warning!)![1]);
    const [least, tooMuch] = [maxLength, maxLength + 1].map((length) => {
      const cut = long(40, 2, length - 1, length - 1);
      return plan(changes, { data: [...examples, cut], machineBytes: 2e9 }).warning;
    });
    expect(least).toBeUndefined();
    expect(tooMuch).toContain("is too long");
  });

  test("nothing is said where it fits, and the settings are named where the others do not", () => {
    expect(plan({ ...settings, memory: "60GB" }, { data }).warning).toBeUndefined();
    expect(plan(settings, { data }).warning).toBeUndefined();
    expect(plan({ ...settings, memory: "200MB" }, { data }).warning).toMatch(/allowed: lower `microbatch\.tokens`/);
    expect(plan(settings, { data: examples, machineBytes: 2e8 }).warning).toMatch(
      /^the run may take \d\.\d GB, more than the 0\.2 GB of this machine: lower `microbatch\.tokens`/,
    );
  });

  test("a text counts once, and a window of several texts has no line", () => {
    const text = example([1], [...randomExamples(3, [[1, 8000]])[0]!.responses[0]!]);
    const { warning } = plan({ ...settings, objective: { name: "sft" }, memory: "2GB" }, { data: [text] });
    expect(warning).toMatch(
      /^an example is too long: with its 8,001 tokens the run .* `data\.maxLength` to \d+ or less$/,
    );
  });
});

test.each(["2", "2 TB", "GB", "-1GB", 3])("%o is no size", (memory) => {
  expect(() => plan({ memory })).toThrow(/memory/);
});

test("a run with little memory is the run with much", async () => {
  const folder = await temporaryFolder();
  const data = { train: await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(12)), heldOut: 3 };
  const model = join(folder, "base");
  await trainTiny(folder, { output: model, data: { train: data.train } });
  const settings = { model, data, objective: { name: "tdpo2" } };
  const much = await trainTiny(folder, settings);
  const little = await trainTiny(folder, { ...settings, output: join(folder, "little"), memory: "1MB" });
  expect(little.notes.join("\n")).toMatch(
    /memory: about .*: the reference is cached ahead, activations are computed again/,
  );
  expect(little.warnings.join("\n")).toMatch(/more than the 1MB allowed: lower `microbatch\.tokens`/);
  const losses = (metrics: typeof much.metrics) => metrics.map(({ loss }) => loss as number);
  expect(largestError(losses(little.metrics), losses(much.metrics))).toBeLessThan(1e-5);
});
