import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { type PairOptions, readPairs } from "../forms/pairs.ts";
import { tokenizePairs } from "../tokenize.ts";
import { loadTokenizer } from "../tokens/load-tokenizer.ts";
import type { Tokenizer } from "../tokens/tokenizer.ts";
import { type ChatSettings, chatOf } from "./chat.ts";
import { goldenCases, templateText, tokenizerFolder } from "./testing/golden.ts";

const cases = await goldenCases();
const names = [...new Set(cases.map(({ template }) => template))];
const tokenizers = new Map<string, Tokenizer>();
let plain: Tokenizer;
let file: string;
beforeAll(async () => {
  for (const name of names) {
    const { eos } = cases.find(({ template }) => template === name)!;
    const folder = await tokenizerFolder({ "chat_template.jinja": await templateText(name) }, { eos_token: eos });
    tokenizers.set(name, await loadTokenizer(folder));
  }
  const folder = await tokenizerFolder();
  plain = await loadTokenizer(folder);
  file = join(folder, "pairs.jsonl");
});

interface Asked extends ChatSettings, Omit<PairOptions, "chat"> {
  readonly tokenizer?: Tokenizer;
}

async function read(
  record: object | readonly object[],
  { tokenizer, template, specialTokens, ...options }: Asked = {},
) {
  const records = [record].flat();
  await writeFile(file, records.map((each) => JSON.stringify(each)).join("\n"));
  const used = tokenizer ?? tokenizers.get("chatml")!;
  return readPairs(file, { ...options, chat: chatOf(used, { template, specialTokens }) });
}

async function tokensOf(record: object, asked: Asked = {}) {
  const { pairs } = await read(record, asked);
  const tokenizer = asked.tokenizer ?? tokenizers.get("chatml")!;
  const reading = asked.specialTokens === "text" ? await tokenizer.readingSpecialTokensAsText() : tokenizer;
  const { examples, written } = await tokenizePairs(pairs, reading, {
    maxLength: 5000,
    specialTokens: asked.specialTokens,
  });
  const [{ prompt, responses }] = examples as [(typeof examples)[number]];
  return { prompt: [...prompt], chosen: [...responses[0]!], rejected: [...responses[1]!], written };
}

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const system = (content: string) => ({ role: "system", content });
const prompt = [user("How?")];
const good = { prompt, chosen: [assistant("So.")], rejected: [assistant("Not so.")] };

describe.each(cases.filter(({ ids, name }) => ids && name !== "spelled"))("$template, $name", (golden) => {
  test("prompt and answer have the ids of transformers, to the end of the turn and no further", async () => {
    const { template, answer, tools, variables, prompt: turns } = golden;
    const tokenizer = tokenizers.get(template)!;
    const [promptIds, wholeIds] = golden.ids!;
    // A template may write thoughts into the prompt of an answer that holds none.
    const record = {
      prompt: turns,
      chosen: answer,
      rejected: [assistant("Other.")],
      tools,
      chat_template_kwargs: variables,
    };
    if (!golden.texts![1].startsWith(golden.texts![0])) {
      await expect(read(record, { tokenizer })).rejects.toThrow(/begins the conversation otherwise/);
      return;
    }
    const found = await tokensOf(record, { tokenizer });
    expect(found.prompt).toEqual(promptIds);
    const whole = [...found.prompt, ...found.chosen];
    expect(whole).toEqual(wholeIds.slice(0, whole.length));
    const rest = tokenizer.decode(wholeIds.slice(whole.length));
    expect(rest).toMatch(/^\s*(<\|endoftext\|>)?$/);
    expect(tokenizer.specialTokens.has(found.chosen.at(-1)!)).toBe(true);
  });
});

test("the token that ends a turn is scored once, and nothing behind it", async () => {
  const ends: Record<string, string> = {
    chatml: "<|im_end|>",
    headers: "<|eot_id|>",
    calls: "<|im_end|>",
    thinking: "<|im_end|>",
    alternating: "<end_of_turn>",
    modes: "<|im_end|>",
    "end-of-text": "<|end|>",
    brackets: "<|endoftext|>",
  };
  expect(Object.keys(ends).sort()).toEqual([...names].sort());
  for (const [name, end] of Object.entries(ends)) {
    const tokenizer = tokenizers.get(name)!;
    const { chosen, prompt } = await tokensOf(good, { tokenizer });
    expect(tokenizer.decode(chosen).endsWith(`So.${end}`)).toBe(true);
    expect(prompt.filter((id) => id === tokenizer.bosId).length).toBeLessThan(2);
  }
});

test("a template that ends turns with no token: EOS follows the words", async () => {
  const text =
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
  const tokenizer = await loadTokenizer(await tokenizerFolder({ "chat_template.jinja": text }));
  const { chosen, prompt } = await tokensOf(good, { tokenizer });
  expect(tokenizer.decode(prompt)).toBe("user: How?\n\nassistant: ");
  expect(tokenizer.decode(chosen)).toBe("So.<|im_end|>");
});

describe("which turns are the prompt", () => {
  const turn = "<|im_start|>";
  const show = async (record: object, asked?: Asked) => {
    const [pair] = (await read(record, asked)).pairs;
    return [pair!.prompt, pair!.chosen, pair!.rejected].map((text) =>
      text.replaceAll("<|im_end|>\n", "|").replaceAll(turn, "").replaceAll("\n", ":").replace("system:Be of use.|", ""),
    );
  };
  const shown = ["user:How?|assistant:", "So.|", "Not so.|"];

  test.each<[string, object, string[]?]>([
    ["given as messages", good],
    ["given as one message, answers too", { prompt: prompt[0], chosen: good.chosen[0], rejected: good.rejected[0] }],
    ["a text before answers in messages", { ...good, prompt: "How?" }],
    ["messages before answers in texts", { prompt, chosen: "So.", rejected: "Not so." }],
    ["the common beginning", { chosen: [...prompt, ...good.chosen], rejected: [...prompt, ...good.rejected] }],
    [
      "the common beginning, beside which it stands as text",
      { prompt: "How?", chosen: [...prompt, ...good.chosen], rejected: [...prompt, ...good.rejected] },
    ],
    ["`messages`, before the answers", { messages: prompt, chosen: good.chosen, rejected: good.rejected }],
    [
      "in the form of ShareGPT",
      {
        messages: [{ from: "human", value: "How?" }],
        chosen: { from: "gpt", value: "So." },
        rejected: { from: "gpt", value: "Not so." },
      },
    ],
    [
      "with a system's message of its own column",
      { ...good, system: "Be brief." },
      ["system:Be brief.|user:How?|assistant:", "So.|", "Not so.|"],
    ],
    [
      "several turns",
      {
        chosen: [system("S"), user("A"), assistant("B"), user("C"), assistant("D")],
        rejected: [system("S"), user("A"), assistant("B"), user("C"), assistant("E")],
      },
      ["system:S|user:A|assistant:B|user:C|assistant:", "D|", "E|"],
    ],
    [
      "several turns of the assistant are one answer",
      { prompt, chosen: [assistant("A"), assistant("B")], rejected: [assistant("C")] },
      ["user:How?|assistant:", "A|assistant:B|", "C|"],
    ],
  ])("%s", async (_, record, expected = shown) => {
    expect(await show(record)).toEqual(expected);
  });

  test("texts are turns where a template is asked for", async () => {
    expect(await show({ prompt: "How?", chosen: "So.", rejected: "Not so." }, { textsAsTurns: true })).toEqual(shown);
  });
});

describe("bad records", () => {
  test.each<[string, object, RegExp, string?]>([
    [
      "a prompt that ends with the assistant",
      { ...good, prompt: [...prompt, assistant("A")] },
      /prompt: ends with a turn of the assistant/,
    ],
    ["no prompt", { chosen: good.chosen, rejected: good.rejected }, /prompt: is missing/],
    [
      "conversations that begin differently",
      { chosen: [user("A"), assistant("B")], rejected: [user("C"), assistant("B")] },
      /prompt: is missing, and .* begin differently/,
    ],
    [
      "conversations that differ before the last turn",
      {
        chosen: [...prompt, assistant("A"), user("B"), assistant("C")],
        rejected: [...prompt, assistant("D"), user("B"), assistant("C")],
      },
      /chosen: differs before its last turn: the answer holds a turn of "user"/,
    ],
    [
      "a conversation that is the other's beginning",
      { chosen: [...prompt, ...good.chosen], rejected: prompt },
      /rejected: ends where the other conversation goes on/,
    ],
    [
      "the same conversation",
      { chosen: [...prompt, ...good.chosen], rejected: [...prompt, ...good.chosen] },
      /rejected: the same conversation as in `chosen`/,
    ],
    ["the same answer", { ...good, rejected: good.chosen }, /rejected: the same as `chosen`/],
    [
      "a prompt beside conversations that do not hold it",
      { prompt: "Other?", chosen: [...prompt, ...good.chosen], rejected: [...prompt, ...good.rejected] },
      /prompt: is no turn of/,
    ],
    ["no role", { ...good, prompt: [{ role: "", content: "A" }] }, /prompt\.0: has no role/],
    ["no content", { ...good, chosen: [{ role: "assistant", content: null }] }, /chosen\.0: has no content/],
    [
      "content that is a number",
      { ...good, chosen: [{ role: "assistant", content: 7 }] },
      /chosen\.0\.content: must be a text or a list of text parts, not a number/,
    ],
    [
      "an image",
      { ...good, prompt: [{ role: "user", content: [{ type: "image" }] }] },
      /prompt\.0\.content\.0: must be a text part .*"image"/,
    ],
    ["a message that is a text", { ...good, chosen: [assistant("a"), "b"] }, /chosen\.1: must be a message/],
    ["half a character", { ...good, chosen: [assistant("\ud83d")] }, /chosen\.0\.content: holds half a character/],
    [
      "calls that are no list",
      { ...good, chosen: [{ ...assistant(""), tool_calls: "f()" }] },
      /chosen\.0\.tool_calls: must be a list/,
    ],
    ["tools that are no JSON", { ...good, tools: "[" }, /tools: is not valid JSON/],
    ["a blank answer", { ...good, rejected: [assistant(" \n")] }, /rejected: is blank/],
    [
      "a template that refuses",
      { ...good, prompt: [user("A"), user("B")] },
      /prompt: the chat template refuses it: "Roles must go user\/assistant/,
      "alternating",
    ],
    [
      "an answer that is empty once rendered",
      { ...good, chosen: [{ role: "assistant", reasoning_content: "Hm", content: "" }] },
      /chosen: is empty once the chat template has written it/,
    ],
    [
      "turns that do not begin alike",
      {
        ...good,
        chat_template_kwargs: { enable_thinking: false },
        chosen: [{ ...assistant("A"), reasoning_content: "Hm" }],
      },
      /chosen: the chat template begins the conversation otherwise with the answer, ".*Hm.*", than for the prompt, "/,
      "thinking",
    ],
  ])("%s: an error with its place, or skipped", async (_, record, message, template = "chatml") => {
    const tokenizer = tokenizers.get(template)!;
    const error = await read([good, record], { tokenizer }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).place).toMatchObject({ file, line: 2 });
    expect((error as UserError).message).toMatch(message);
    const { pairs, skipped } = await read([good, record], { tokenizer, onBadPair: "skip" });
    expect([pairs.length, skipped.length]).toEqual([1, 1]);
  });

  test("a model without a template: what to do about it, even with skip", async () => {
    const asked = { tokenizer: plain, onBadPair: "skip" as const };
    await expect(read(good, asked)).rejects.toThrow(/has no chat template.*`data\.template: chatml`/s);
    const { pairs } = await read(good, { ...asked, template: "chatml" });
    expect(pairs[0]!.prompt).toBe("<|im_start|>user\nHow?<|im_end|>\n<|im_start|>assistant\n");
  });
});

describe("special tokens that messages spell out", () => {
  const record = { ...good, prompt: [user("Is <|im_end|> a token?")], chosen: [assistant("<|im_start|> is.")] };
  const end = (ids: number[], tokenizer: Tokenizer) =>
    ids.filter((id) => tokenizer.specialTokens.get(id) === "<|im_end|>");

  test("are tokens, and are counted", async () => {
    const tokenizer = tokenizers.get("chatml")!;
    const { prompt, written } = await tokensOf(record);
    expect(end(prompt, tokenizer)).toHaveLength(3);
    const { WrittenTokens } = await import("../written-tokens.ts");
    expect(WrittenTokens.inWords([written])).toMatch(
      /^1 answer and 1 prompt hold special tokens written out, first "<\|im_end\|>"/,
    );
  });

  test("are text where that is asked for, and the template's own are tokens", async () => {
    const tokenizer = tokenizers.get("chatml")!;
    const { prompt, chosen } = await tokensOf(record, { specialTokens: "text" });
    expect(end(prompt, tokenizer)).toHaveLength(2);
    expect(tokenizer.decode(prompt)).toContain("user\nIs <|im_end|> a token?<|im_end|>\n");
    expect(tokenizer.decode(chosen)).toBe("<|im_start|> is.<|im_end|>");
    expect(end(chosen, tokenizer)).toHaveLength(1);
    const same = await tokensOf(good, { specialTokens: "text" });
    expect({ ...same, written: 0 }).toEqual({ ...(await tokensOf(good)), written: 0 });
  });

  test("are an error where that is asked for", async () => {
    await expect(tokensOf(record, { specialTokens: "error" })).rejects.toThrow(
      /pairs\.jsonl:1: the prompt holds the special token "<\|im_end\|>"/,
    );
  });
});
