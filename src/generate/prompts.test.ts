import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/helpers/runs.ts";
import { templateText, tokenizerFolder } from "../data/chat/testing/golden.ts";
import { loadTokenizer } from "../data/tokens/load-tokenizer.ts";
import { encodePrompts, readPrompts } from "./prompts.ts";
import { byteTokenizer } from "./testing/byte-model.ts";

async function fileWith(name: string, content: string): Promise<string> {
  const file = join(await temporaryFolder(), name);
  await writeFile(file, content);
  return file;
}

const texts = async (file: string) => (await readPrompts(file)).map(({ text }) => text);

test("a text per line, blank lines aside", async () => {
  const file = await fileWith("prompts.txt", '\uFEFFHello \r\n\n  \n{"prompt": 1}\nlast');
  expect(await texts(file)).toEqual(["Hello ", '{"prompt": 1}', "last"]);
  expect((await readPrompts(file))[1]!.place).toEqual({ file, line: 4 });
});

test("records with a prompt, which may be empty or hold line breaks", async () => {
  const jsonl = '{"prompt": "a\\nb", "more": 1}\n\n{"prompt": ""}\n';
  expect(await texts(await fileWith("prompts.jsonl", jsonl))).toEqual(["a\nb", ""]);
  expect(await texts(await fileWith("prompts.json", '[{"prompt": "x"}]'))).toEqual(["x"]);
});

describe("conversations", () => {
  const messages = [
    { role: "system", content: "S" },
    { role: "user", content: "Q" },
  ];
  const fileOf = (...records: object[]) =>
    fileWith("prompts.jsonl", records.map((record) => JSON.stringify(record)).join("\n"));
  const limits = { contextLength: 200, vocabularySize: 400 };

  test("become what the chat template writes, between texts", async () => {
    const tokenizer = await loadTokenizer(
      await tokenizerFolder({ "chat_template.jinja": await templateText("headers") }),
    );
    const prompts = await readPrompts(await fileOf({ prompt: messages }, { prompt: "Q" }, { messages }));
    expect(prompts.map(({ text }) => text)).toEqual(["Q", "Q", "Q"]);
    const [first, second, third] = await encodePrompts(tokenizer, limits, prompts);
    const header = (role: string) => `<|start_header_id|>${role}<|end_header_id|>\n\n`;
    expect(tokenizer.decode(first!)).toBe(
      `<|begin_of_text|>${header("system")}Today: 01 Jan 2024\n\nS<|eot_id|>${header("user")}Q<|eot_id|>${header("assistant")}`,
    );
    expect(tokenizer.decode(second!)).toBe("<|begin_of_text|>Q");
    expect(third).toEqual(first);
  });

  test("that are bad, or refused by the template, are named with their place", async () => {
    const ending = await fileOf({ prompt: [{ role: "assistant", content: "A" }] });
    await expect(readPrompts(ending)).rejects.toThrow(/prompts\.jsonl:1: prompt: ends with a turn of the assistant/);
    const template = { "chat_template.jinja": await templateText("alternating") };
    const tokenizer = await loadTokenizer(await tokenizerFolder(template));
    const prompts = await readPrompts(await fileOf({ prompt: "Q" }, { prompt: [messages[1], messages[1]] }));
    await expect(encodePrompts(tokenizer, limits, prompts)).rejects.toThrow(
      /prompts\.jsonl:2: prompt: the chat template refuses it: "Roles must go/,
    );
    await expect(encodePrompts(await byteTokenizer(), limits, prompts)).rejects.toThrow(/has no chat template/);
  });
});

test("packed or as UTF-16, whatever the name says", async () => {
  const file = join(await temporaryFolder(), "prompts.txt");
  await writeFile(file, gzipSync("one\ntwo"));
  expect(await texts(file)).toEqual(["one", "two"]);
  await writeFile(file, Buffer.from("\ufeffone\r\ntw\u00f6", "utf16le"));
  expect(await texts(file)).toEqual(["one", "tw\u00f6"]);
  expect(await texts(await fileWith("PROMPTS.JSONL", '{"prompt": "x"}'))).toEqual(["x"]);
});

test("bytes that are no UTF-8 are refused with their line", async () => {
  const file = join(await temporaryFolder(), "prompts.txt");
  await writeFile(file, Buffer.from("one\ncaf\u00e9", "latin1"));
  await expect(readPrompts(file)).rejects.toThrow(/prompts\.txt:2: is not valid UTF-8/);
});

test.each([
  ["an empty file", "prompts.txt", "", /prompts\.txt: is empty$/],
  ["blank lines", "prompts.txt", "\n \n", /prompts\.txt: holds no prompt$/],
  ["no records", "prompts.jsonl", "\n", /prompts\.jsonl: .*records/],
  ["no JSON", "prompts.jsonl", '{"prompt": "a"}\nhello', /prompts\.jsonl:2: is not valid JSON/],
  ["another column", "prompts.jsonl", '{"text": "a"}', /prompts\.jsonl:1: prompt: is missing; the record has `text`$/],
  ["no text", "prompts.jsonl", '{"prompt": 3}', /prompts\.jsonl:1: prompt: must be a text, not a number$/],
])("%s", async (_name, name, content, message) => {
  await expect(readPrompts(await fileWith(name, content))).rejects.toThrow(message);
});

test("files that cannot be read", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "prompts"));
  await expect(readPrompts(join(folder, "none.txt"))).rejects.toThrow(/none\.txt: there is no such file/);
  await expect(readPrompts(join(folder, "prompts"))).rejects.toThrow(/prompts: is a directory/);
});

test("encoding: an empty prompt is the start token; what does not fit is refused with its place", async () => {
  const tokenizer = await byteTokenizer();
  const sizes = { contextLength: 4, vocabularySize: 257 };
  const place = { file: "some.txt", line: 7 };
  expect(await encodePrompts(tokenizer, sizes, [{ text: "" }, { text: "abc" }])).toEqual([
    Int32Array.of(256),
    Int32Array.from(Buffer.from("abc")),
  ]);
  await expect(encodePrompts(tokenizer, sizes, [{ text: "abcd", place }])).rejects.toThrow(
    "some.txt:7: prompt: has 4 tokens, and the model's context of 4 leaves no room for an answer; shorten it",
  );
  await expect(
    encodePrompts(tokenizer, { ...sizes, vocabularySize: 99 }, [{ text: "a" }, { text: "z" }]),
  ).rejects.toThrow("prompt 2: its token 122 is not in the model's vocabulary of 99");
});
