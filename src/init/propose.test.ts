import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pairRecords, temporaryFolder, trainTiny, writeJsonLines } from "../../test/helpers/runs.ts";
import { writeByteModel } from "../generate/testing/byte-model.ts";
import { parseRecipe } from "../recipe/parse.ts";
import { proposeRecipe } from "./propose.ts";
import { summarizeProposal } from "./summary.ts";

async function setUp() {
  const folder = await temporaryFolder();
  const model = await writeByteModel(join(folder, "model"));
  const data = [await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(50))];
  return { folder, model, data };
}

test("progress is told, and what was found comes with the recipe", async () => {
  const { model, data } = await setUp();
  const heard: [number, number][] = [];
  const proposal = await proposeRecipe({
    ...{ model, data, objective: "dpo" },
    onProgress: (done, total) => heard.push([done, total]),
  });
  expect(heard.at(-1)).toEqual([50, 50]);
  expect(heard.length).toBeGreaterThan(1);
  expect(proposal.recipe.objective).toMatchObject({ name: "dpo" });
  expect(proposal.data).toMatchObject({ records: 50, prompts: 50 });
  const { total } = proposal.choices.training.memory;
  const said = async (machineBytes: number) =>
    summarizeProposal(await proposeRecipe({ model, data, objective: "dpo", machineBytes }));
  expect(await said(100e6)).toMatch(/\n {2}more than this machine's 95 MiB: try activationCheckpointing/);
  expect(await said(total)).not.toContain("more than this machine's");
});

test("a model too large for the machine gets an adapter, and the recipe says so", async () => {
  const { model, data } = await setUp();
  const whole = await proposeRecipe({ model, data, machineBytes: 64e9 });
  expect(whole.recipe).toMatchObject({ learningRate: 1e-4 });
  expect(whole.recipe).not.toHaveProperty("lora");
  expect(whole.text).toMatch(
    /\n# lora: \{ rank: 16, alpha: 32 \} # trains an adapter of 7,424 numbers instead of the whole model; takes about 20\d MiB, and wants a learningRate of 1e-3\n/,
  );
  const { total } = whole.choices.training.memory;
  const adapted = await proposeRecipe({ model, data, machineBytes: total - 1 });
  expect(adapted.recipe).toMatchObject({ learningRate: 1e-3, lora: { rank: 16, alpha: 32, base: "stored" } });
  expect(adapted.text).toContain(
    "\n# An adapter of 7,424 numbers on the frozen model: to train the whole model would ",
  );
  const said = summarizeProposal(adapted);
  expect(said).toContain("training: tdpo2 of a new adapter (lora) with 7,424 numbers, 12 steps of 4 an epoch;");
  expect(said).toMatch(/\n {2}training the whole model would take about 20\d MiB, more than this machine's 20\d MiB$/);
  expect(said).not.toContain("reference 1 MiB");
});

test("an adapter goes on: what is said of it is not said of the model below", async () => {
  const { folder, model, data } = await setUp();
  const run = join(folder, "adapted");
  const { recipe } = await trainTiny(folder, {
    ...{ model, init: null, tokenizer: null, output: run, steps: 1, lora: { rank: 2 } },
    data: { train: data[0], maxLength: 48 },
  });
  expect(recipe.lora).toBeDefined();
  const proposal = await proposeRecipe({ model: run, data, machineBytes: 64e9 });
  const below = await proposeRecipe({ model, data, machineBytes: 64e9 });
  expect(proposal.model).toMatchObject({ parameters: below.model.parameters, dtypes: ["F32"] });
  expect(proposal.model.adapter).toEqual({ base: model, parameters: 928, frozenBytes: 0 });
  expect(proposal.recipe).toMatchObject({ model: run, learningRate: 1e-3 });
  expect(proposal.text).toContain(`# an adapter of 928 numbers on ${model}, llama, 12,240 parameters, context of 48`);
  expect(proposal.text).toContain("\n# lora: { base: int4 } # keeps the model below the adapter in 4 bits");
  expect(parseRecipe(proposal.text.replace("# lora: ", "lora: "), "recipe.yaml").lora).toMatchObject({ base: "int4" });
  expect(proposal.text).toContain("for an adapter, ten times what is usual for training all of 12,240 parameters");
  const said = summarizeProposal(proposal);
  expect(said).toContain(`an adapter of 928 numbers on ${model}, llama, 12,240 parameters in float32`);
  expect(said).toContain("training: tdpo2 of the adapter with 928 numbers, ");
});

test("the run's folder is one that is not there yet", async () => {
  const { folder, model, data } = await setUp();
  const before = process.cwd();
  process.chdir(folder);
  try {
    const output = async () => (await proposeRecipe({ model, data })).output;
    expect(await output()).toBe("runs/model-tdpo2");
    await mkdir(join(folder, "runs", "model-tdpo2"), { recursive: true });
    await mkdir(join(folder, "runs", "model-tdpo2-2"));
    expect(await output()).toBe("runs/model-tdpo2-3");
  } finally {
    process.chdir(before);
  }
});
