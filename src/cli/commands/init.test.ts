import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { pairRecords, temporaryFolder, writeJsonLines } from "../../../test/helpers/runs.ts";
import { writeByteTokenizer } from "../../data/tokens/byte-tokenizer.ts";
import { writeByteModel } from "../../generate/testing/byte-model.ts";
import { parseRecipe, readRecipe } from "../../recipe/parse.ts";
import { expectOneError, runHere } from "../testing/run-here.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const pair = { prompt: "p", chosen: "c", rejected: "r" };

/** A tiny model with a context of 48 bytes, and 40 pairs. */
async function setUp() {
  const folder = await temporaryFolder();
  const model = await writeByteModel(join(folder, "model"));
  const data = await writeJsonLines(join(folder, "pairs.jsonl"), pairRecords(40));
  const output = join(folder, "recipe.yaml");
  const init = (...args: string[]) => runHere("init", model, ...args, "--output", output);
  const write = (name: string, records: readonly unknown[]) => writeJsonLines(join(folder, name), records);
  /** Checks the recipe as training does, and returns it with its text. */
  const written = async (file = output) => {
    const checked = await runHere("train", file, "--dry-run");
    expect(checked).toMatchObject({ code: 0, out: "the recipe is good\n" });
    return { recipe: await readRecipe(file), text: await readFile(file, "utf8"), said: checked.error };
  };
  return { folder, model, data, output, init, write, written };
}

test("pairs: a recipe that training takes, and what it rests on", async () => {
  const { data, model, output, init, written } = await setUp();
  const { code, out, error } = await init(data);
  expect({ code, error }).toEqual({ code: 0, error: "" });
  const { recipe, text, said } = await written();
  expect(recipe).toMatchObject({
    model,
    output: "runs/model-tdpo2",
    data: { train: data, heldOut: 4, format: "pairs", onBadPair: "error", maxLength: 32 },
    objective: { name: "tdpo2", beta: 0.1, alpha: 0.5 },
    learningRate: 1e-4,
    batchSize: 4,
    epochs: 3,
    evaluation: { everySteps: 2, samples: 1 },
    checkpoints: { everySteps: 4 },
  });
  // "Say 12:" and " no??????" with EOS; every character is a token.
  expect(text).toContain("  maxLength: 32 # the longest pair has 17 tokens\n");
  expect(text).toContain(`train: ${data} # 40 pairs, 40 different prompts\n`);
  expect(text).not.toContain("maxPromptLength");
  expect(said).toContain("36 training examples; longest prompt 7,");
  expect(said).toContain("tdpo2: 27 steps of 4 examples");
  expect(text).toContain("epochs: 3 # 27 steps in all\n");
  expect(out).toMatch(
    /^model: .*model, llama, 12,\d+ parameters in float32, context of 48 tokens, vocabulary of 260\n/,
  );
  expect(out).toContain("\ndata: 40 pairs, 40 different prompts\n");
  expect(out).toContain("\n  tokens of a prompt: median 7, 95 % up to 7, longest 7\n");
  expect(out).toMatch(
    /\n {2}chosen answers are the longer ones in [\d.]+ % of the pairs \(mean 7 tokens, rejected 7\)\n/,
  );
  expect(out).toMatch(/\nmemory: about 20\d MiB while training, as an estimate \(weights 1 MiB, .* reference 1 MiB, /);
  expect(out.endsWith(`Then:\n  npx tokenwise train ${output} --dry-run\n  npx tokenwise train ${output}\n`)).toBe(
    true,
  );
});

test("every line to uncomment is a valid setting", async () => {
  const { init, data, write, output } = await setUp();
  const long = await write("long.jsonl", [{ ...pair, prompt: "x".repeat(100) }, ...pairRecords(20)]);
  const short = await write("short.jsonl", [{ text: "one" }, { text: "two" }]);
  const same = await write("same.jsonl", [pair, { ...pair, chosen: "d" }]);
  let tried = 0;
  for (const args of [[data], [data, "--objective", "sft"], [long], [short], [same]]) {
    expect((await init(...args, "--overwrite")).code).toBe(0);
    const lines = (await readFile(output, "utf8")).split("\n");
    for (const [index, line] of lines.entries()) {
      const [, indent, setting, key] = /^( *)# ((\w+): .*)$/.exec(line) ?? [];
      if (!setting || !key) continue;
      const others = lines.filter((other, at) => at !== index && !other.startsWith(`${indent}${key}: `));
      const at = others.indexOf(lines[index - 1]!) + 1;
      const text = others.toSpliced(at === 0 ? others.length : at, 0, `${indent}${setting}`).join("\n");
      expect(() => parseRecipe(text, "recipe.yaml"), text).not.toThrow();
      tried++;
    }
  }
  expect(tried).toBeGreaterThan(40);
});

test("texts: supervised, packed where they are long", async () => {
  const { init, write, written } = await setUp();
  const short = await write("short.jsonl", [{ text: "abc" }, { text: "défg" }, { text: "abc" }]);
  expect((await init(short)).out).toContain("data: 3 texts\n  1 record repeats an earlier one\n  tokens of a text: ");
  const first = await written();
  expect(first.recipe).toMatchObject({
    output: "runs/model-sft",
    data: { format: "text", heldOut: 1, maxLength: 16, pack: false },
    objective: { name: "sft" },
    schedule: "cosine",
    evaluation: { samples: 0 },
  });
  expect(first.text).toContain("# the longest text has 7 tokens\n");
  const long = await write(
    "long.jsonl",
    Array.from({ length: 30 }, () => ({ text: "word ".repeat(40) })),
  );
  const { out } = await init(long, "--overwrite");
  const packed = await written();
  expect(packed.recipe.data).toMatchObject({ pack: true, maxLength: 48, heldOut: 3 });
  // 27 texts of 201 tokens in windows of 47 to learn; what is said is what training finds.
  expect(packed.said).toContain("116 training examples");
  expect(packed.text).toContain("batchSize: 4 # 29 steps an epoch\n");
  expect(out).toContain("training: sft, about 29 steps of 4 an epoch; 3 epochs proposed");
});

test("bad records are counted and named, and skipped by the recipe", async () => {
  const { data, init, folder, written } = await setUp();
  const good = await readFile(data, "utf8");
  const equal = JSON.stringify({ ...pair, rejected: "c" });
  const file = join(folder, "mixed.jsonl");
  await writeFile(file, `${good}{"prompt": "\x07p\n${equal}\n${equal}\n${JSON.stringify({ ...pair, chosen: " " })}\n`);
  const { out, code } = await init(file);
  expect(code).toBe(0);
  expect(out).toContain(`4 of 44 records cannot be used, the first at ${file}:41: is not valid JSON`);
  expect(out).toContain("2 of them because rejected: the same text as in `chosen`\n");
  const { text, recipe, said } = await written();
  expect(recipe.data.onBadPair).toBe("skip");
  expect(text).toContain(`onBadPair: skip # 4 of 44 records cannot be used, the first at ${file}:41: is not valid`);
  expect(said).toContain("skipped 4 bad records");
});

test("pairs that do not fit the context are cut, and the recipe says how many", async () => {
  const { init, write, written } = await setUp();
  const long = pairRecords(10).map((record) => ({ ...record, prompt: "x".repeat(60) + record.prompt }));
  const file = await write("long.jsonl", [...pairRecords(30), ...long]);
  expect((await init(file)).out).toContain("  25 % will be cut to 48 tokens\n");
  const { text, recipe } = await written();
  expect(recipe.data).toMatchObject({ maxLength: 48, maxPromptLength: 24 });
  expect(text).toContain("maxLength: 48 # the model's context; covers 75 %: 10 of 40 pairs will be cut\n");
});

test("what is systematically longer is said", async () => {
  const { init, write } = await setUp();
  const file = await write(
    "biased.jsonl",
    pairRecords(30).map((record) => ({ ...record, chosen: "x".repeat(15) })),
  );
  expect((await init(file)).out).toContain(
    "chosen answers are the longer ones in 100 % of the pairs (mean 16 tokens, rejected 7): the model may learn just to answer longer",
  );
});

test("of many records a sample is tokenized", async () => {
  const { init, write, written } = await setUp();
  const file = await write("many.jsonl", pairRecords(5100));
  const { out } = await init(file);
  expect(out).toContain("lengths below are of 5,000 records, evenly spread");
  const { text, recipe } = await written();
  expect(recipe).toMatchObject({ data: { heldOut: 256 }, batchSize: 64, epochs: 1 });
  expect(text).toContain("# the longest pair of 5,000 sampled has ");
});

test("nothing is held out where that would leave nothing to train on", async () => {
  const { init, write, written } = await setUp();
  const file = await write("same.jsonl", [pair, { ...pair, chosen: "d" }]);
  expect((await init(file)).code).toBe(0);
  const { text, recipe } = await written();
  expect(recipe.data.heldOut).toBe(0);
  expect(text).toContain("nothing is held out of 2 pairs with 1 prompt\n");
});

test("supervised training on pairs is on the chosen answers", async () => {
  const { data, init, written } = await setUp();
  const { out } = await init(data, "--objective", "sft");
  expect(out).not.toContain("chosen answers are");
  expect(out).not.toContain("reference");
  const { text, recipe } = await written();
  expect(recipe).toMatchObject({ objective: { name: "sft" }, data: { format: "pairs" }, learningRate: 1e-3 });
  // "Say 14:" and " yes!!!!" with EOS.
  expect(text).toContain("# the longest prompt with its answer has 16 tokens\n");
});

test.each(["tdpo1", "dpo", "ipo"])("--objective %s", async (name) => {
  const { data, init, written } = await setUp();
  expect((await init(data, "--objective", name)).code).toBe(0);
  expect((await written()).recipe).toMatchObject({ objective: { name }, output: `runs/model-${name}` });
});

test("all layouts of data: dialogues, several files, other names of columns", async () => {
  const { folder, data, init, write, written } = await setUp();
  const start = "\n\nHuman: hi\n\nAssistant:";
  const dialogues = join(folder, "dialogues.json");
  await writeFile(
    dialogues,
    JSON.stringify([0, 1].map((n) => ({ chosen: `${start} yes ${n}`, rejected: `${start} no` }))),
  );
  expect((await init(dialogues, data)).out).toContain("data: 42 pairs, 41 different prompts\n");
  expect((await written()).recipe.data.train).toEqual([dialogues, data]);
  const named = await write("named.jsonl", [
    { "the question": "q", good: "a", bad: "b" },
    { good: "c", bad: "d" },
  ]);
  const columns = ["--columns", "prompt=the question", "chosen=good", "rejected=bad"];
  expect((await init(named, ...columns, "--overwrite")).out).toContain("1 of 2 records cannot be used, the first");
  const { recipe } = await written();
  expect(recipe.data.columns).toEqual({ prompt: "the question", chosen: "good", rejected: "bad" });
  const texts = await write("content.jsonl", [{ content: "one" }, { content: "two" }]);
  expect((await init(texts, "--columns", "text=content", "--overwrite")).code).toBe(0);
  expect((await written()).recipe.data).toMatchObject({ format: "text", columns: { text: "content" } });
});

test("a run's folder is a model, and names are quoted where YAML and shells need it", async () => {
  const { folder, data } = await setUp();
  const run = join(folder, "kind: #1 run");
  await writeByteModel(join(run, "model"));
  await writeFile(join(run, "recipe.yaml"), "");
  const file = join(folder, "it's: {a} #pair.jsonl");
  await writeFile(file, await readFile(data));
  const output = join(folder, "a recipe", "it's.yaml");
  for (const model of [run, join(run, "model")]) {
    const { code, out } = await runHere("init", model, file, "-o", output, "--overwrite");
    expect(code).toBe(0);
    expect(out).toContain(`\n  npx tokenwise train '${output.replace("'", "'\\''")}'\n`);
    expect(await readRecipe(output)).toMatchObject({ model, data: { train: file }, output: "runs/kind-1-run-tdpo2" });
    expect((await runHere("train", output, "--dry-run")).code).toBe(0);
  }
});

describe("what is there already", () => {
  test("is replaced only on demand, and the data never", async () => {
    const { folder, data, output, init, model } = await setUp();
    await writeFile(output, "mine");
    expectOneError(
      await init(data),
      /recipe\.yaml: exists already; replace it with --overwrite, or choose another --output/,
    );
    expect(await readFile(output, "utf8")).toBe("mine");
    expect((await init(data, "--overwrite")).code).toBe(0);
    expect(await readFile(output, "utf8")).toContain("model: ");
    const before = await readFile(data, "utf8");
    expectOneError(await runHere("init", model, data, "-o", data, "--overwrite"), /pairs\.jsonl: is the data itself/);
    expect(await readFile(data, "utf8")).toBe(before);
    expectOneError(await runHere("init", model, data, "-o", folder, "--overwrite"), /is a folder, not a file/);
  });

  test("is seen before the data is read", async () => {
    const { folder, data, model } = await setUp();
    const names = await readdir(folder);
    const below = join(data, "recipe.yaml");
    expectOneError(await runHere("init", model, "nowhere.jsonl", "-o", below), /pairs\.jsonl: is a file, not a folder/);
    expect(await readdir(folder)).toEqual(names);
  });
});

describe("bad input is one clear error, and nothing is written", () => {
  test.each<[content: string, message: RegExp]>([
    ["", /data\.jsonl: is empty/],
    ["\n \n", /data\.jsonl: holds no records/],
    [
      '{"question": "q", "answer": "a"}\n',
      /data\.jsonl:1: holds neither pairs \(`chosen`, `rejected`\) nor texts \(`text`\): the record has `question`, `answer`; name its columns, such as --columns prompt=question/,
    ],
    ["nonsense\n", /data\.jsonl:1: no record can be read; this one is not valid JSON/],
    [
      '{"chosen": "a"}\n{"chosen": "b"}\n',
      /data\.jsonl:1: nothing is left: all 2 records are bad, this one because rejected: is missing/,
    ],
    ['{"chosen": [{"role": "user", "content": "a"}], "rejected": []}\n', /rejected: holds no message/],
  ])("data %j", async (content, message) => {
    const { folder, init } = await setUp();
    const file = join(folder, "data.jsonl");
    await writeFile(file, content);
    expectOneError(await init(file), message);
    expect(await readdir(folder)).not.toContain("recipe.yaml");
  });

  test("of data and objective", async () => {
    const { folder, data, init, write } = await setUp();
    const texts = await write("texts.jsonl", [{ text: "a" }, { text: "b" }]);
    expectOneError(await init(join(folder, "nowhere.jsonl")), /nowhere\.jsonl: there is no such file/);
    expectOneError(await init(join(folder, "recipe.txt")), /recipe\.txt: there is no such file/);
    expectOneError(
      await init(texts, "--objective", "dpo"),
      /--objective: dpo needs pairs, but .*texts\.jsonl holds texts/,
    );
    expectOneError(await init(data, texts), /texts\.jsonl: holds texts, but .*pairs\.jsonl holds pairs/);
    expectOneError(
      await init(data, "--objective", "ppo"),
      /argument 'ppo' is invalid\. Allowed choices are sft, dpo, ipo,/,
    );
    expectOneError(await init(data, "--columns", "answer=a"), /It must be name=column/);
    expectOneError(
      await init(data, "--columns", "text=a", "chosen=b"),
      /--columns: name the columns of one form of data: pairs or texts/,
    );
    expectOneError(
      await init(data, "--columns", "chosen=good"),
      /pairs\.jsonl:1: nothing is left: all 40 .* good: is missing/,
    );
    expect(await readdir(folder)).not.toContain("recipe.yaml");
  });

  test("of the model", async () => {
    const { folder, data, model, init, output } = await setUp();
    const missing = await runHere("init", join(folder, "nowhere"), data, "-o", output);
    expectOneError(missing, /nowhere: no such model folder; a model of the Hub must be downloaded first/);
    expectOneError(await runHere("init", model), /missing required argument 'data'/);
    // A tokenizer with more tokens than the model.
    await writeByteTokenizer(model, [
      ["S", "a"],
      ["Sa", "y"],
      ["y", "e"],
      ["ye", "s"],
      ["n", "o"],
    ]);
    expectOneError(await init(data), /tokenizer\.json: gives token \d+, but the model has 260 tokens: this tokenizer/);
    await rm(join(model, "tokenizer.json"));
    expectOneError(await init(data), /tokenizer\.json: there is no such file/);
    await rm(join(model, "model.safetensors"));
    expectOneError(await init(data), /holds no weights/);
    expect(await readdir(folder)).not.toContain("recipe.yaml");
  });
});

test("the help has an example, and lists the commands as they are used", async () => {
  const { out } = await runHere("init", "--help");
  expect(out).toContain("\nExample:\n  tokenwise init demo/model demo/pairs.jsonl");
  const help = (await runHere("--help")).out;
  const places = ["init", "train", "evaluate", "generate", "pairs"].map((name) =>
    help.indexOf(`\n  ${name} [options]`),
  );
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(places).not.toContain(-1);
});
