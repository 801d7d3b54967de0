import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../errors.ts";
import { goldenCases, templateText, tokenizerFolder } from "../chat/testing/golden.ts";
import { ChatTemplate, chatml, type Message, TemplateRefusal } from "./chat-template.ts";
import { readChatTemplates } from "./chat-template-files.ts";
import { loadTokenizer } from "./load-tokenizer.ts";

const cases = await goldenCases();
const tokens = { bos_token: "<|begin_of_text|>" };
const templateOf = (text: string, variables: object = {}) =>
  new ChatTemplate(new Map([["default", { file: "chat_template.jinja", text }]]), { ...tokens, ...variables });
const user = (content: unknown): Message => ({ role: "user", content });

test.each(cases)("$template, $name: the text, or the error, of transformers", async (golden) => {
  const template = templateOf(await templateText(golden.template), { eos_token: golden.eos });
  const { prompt, answer, tools, variables } = golden;
  const render = () => [
    template.render({ messages: prompt, tools, variables }, true),
    template.render({ messages: [...prompt, ...answer], tools, variables }, false),
  ];
  if (golden.texts) expect(render()).toEqual(golden.texts);
  else expect(render).toThrow(new TemplateRefusal(golden.error));
});

test("the cases reach every template, and templates that refuse", () => {
  expect(new Set(cases.map(({ template }) => template)).size).toBe(8);
  expect(cases.filter(({ error }) => error).length).toBeGreaterThan(2);
});

describe("as in Python", () => {
  test.each([
    ["{{ ' \n x \n '.strip('\n') }}|", " \n x \n |"],
    ["{{ '\n x\n'.lstrip('\n') }}|", " x\n|"],
    ["{{ 'xaax'.strip('x') + 'abba'.rstrip('ab') }}|", "aa|"],
    ["{{ ' x '.strip() }}|", "x|"],
    ["{% for i in range(1, 6, 2) %}{{ i }}{% endfor %}|", "135|"],
    ["{% if true %}\n  a\n  {% endif %}\nb", "  a\nb"],
    ['{{ {"a": [1, "é"]} | tojson }}', '{"a": [1, "é"]}'],
    ["{{ missing }}|{% if tools is none %}none{% endif %}", "|none"],
    ["{% if '%' in strftime_now('%d %b %B %Y %y %A %a %H:%M:%S %I %p %m') %}%{% endif %}", ""],
    ["{{ strftime_now('%Y')[:2] }}", "20"],
  ])("%s", (text, expected) => {
    expect(templateOf(text).render({ messages: [user("Q")] }, false)).toBe(expected);
  });
});

describe("content in parts", () => {
  const parts = [
    { type: "text", text: "a" },
    { type: "text", text: "b" },
  ];
  test.each([
    ["is joined for a template that takes texts", "{{ messages[0].content }}", "ab", "c"],
    [
      "goes as it is where the template takes both",
      "{% if messages[0].content is string %}{{ messages[0].content }}{% else %}{% for part in messages[0].content %}{{ part.text }}{% endfor %}{% endif %}",
      "ab",
      "c",
    ],
    [
      "is made of texts where the template takes nothing else",
      "{% for part in messages[0].content %}{% if part.type == 'text' %}[{{ part.text }}]{% endif %}{% endfor %}",
      "[a][b]",
      "[c]",
    ],
  ])("%s", (_, text, ofParts, ofText) => {
    const template = templateOf(text);
    expect(template.render({ messages: [user(parts)] }, false)).toBe(ofParts);
    expect(template.render({ messages: [user("c")] }, false)).toBe(ofText);
  });
});

describe("files", () => {
  const text = "{{ messages[0].content }}";
  const sources = async (files: Record<string, string>, config = {}) => {
    const folder = await tokenizerFolder(files);
    return [...(await readChatTemplates(folder, config))].map(([name, { file, text }]) => [
      name,
      file.slice(folder.length + 1),
      text,
    ]);
  };

  test("chat_template.jinja and additional ones hold, then tokenizer_config.json, then chat_template.json", async () => {
    const json = { "chat_template.json": JSON.stringify({ chat_template: "older" }) };
    const config = { chat_template: "own" };
    const jinja = { "chat_template.jinja": text, [join("additional_chat_templates", "tool_use.jinja")]: "tools" };
    expect(await sources({})).toEqual([]);
    expect(await sources(json)).toEqual([["default", "chat_template.json", "older"]]);
    expect(await sources(json, config)).toEqual([["default", "tokenizer_config.json", "own"]]);
    expect(await sources({ ...json, ...jinja }, config)).toEqual([
      ["default", "chat_template.jinja", text],
      ["tool_use", join("additional_chat_templates", "tool_use.jinja"), "tools"],
    ]);
  });

  test("several in tokenizer_config.json have names", async () => {
    const listed = [
      { name: "default", template: "a" },
      { name: "rag", template: "b" },
    ];
    expect(await sources({}, { chat_template: listed })).toEqual([
      ["default", "tokenizer_config.json", "a"],
      ["rag", "tokenizer_config.json", "b"],
    ]);
  });

  test.each([
    [7, /tokenizer_config\.json: chat_template: must be a text, or a list/],
    [[{ name: "default" }], /tokenizer_config\.json: chat_template\[0\]: must be \{name, template\}/],
  ])("%j is no template", async (given, message) => {
    await expect(sources({}, { chat_template: given })).rejects.toThrow(message);
  });

  test("a template that is no Jinja is an error only where it is used", async () => {
    const folder = await tokenizerFolder({ "chat_template.jinja": "{% if %}" });
    const { chat } = await loadTokenizer(folder);
    expect(() => new ChatTemplate(chat!.sources, chat!.variables)).toThrow(
      /chat_template\.jinja: the chat template cannot be read: /,
    );
  });
});

test("the template for tools is taken where there are tools, and a name takes any", () => {
  const file = "t";
  const sources = new Map([
    ["default", { file, text: "plain" }],
    ["tool_use", { file, text: "tools" }],
    ["rag", { file, text: "rag" }],
  ]);
  const messages = [user("Q")];
  const render = (name?: string, tools?: unknown[]) =>
    new ChatTemplate(sources, {}, name).render({ messages, tools }, true);
  expect([render(), render(undefined, [{}]), render("default", [{}]), render("rag")]).toEqual([
    "plain",
    "tools",
    "plain",
    "rag",
  ]);
  expect(() => render("nothing")).toThrow(UserError);
  expect(() => render("nothing")).toThrow(/no chat template "nothing".*default, tool_use or rag/);
});

test("ChatML ends turns with a token that the model knows", () => {
  const render = (known: boolean) =>
    new ChatTemplate(new Map([["default", chatml("f", () => known)]]), { eos_token: "</s>" }).render(
      { messages: [user("Q"), { role: "assistant", content: "A" }] },
      true,
    );
  expect(render(true)).toBe(
    "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n<|im_start|>assistant\n",
  );
  expect(render(false)).toBe("<|im_start|>user\nQ</s>\n<|im_start|>assistant\nA</s>\n<|im_start|>assistant\n");
});

test("the end of a turn ends an answer as EOS does", async () => {
  const folder = await tokenizerFolder({ "chat_template.jinja": await templateText("headers") });
  const { eosIds, specialTokens } = await loadTokenizer(folder);
  expect(eosIds.map((id) => specialTokens.get(id))).toEqual(["<|im_end|>", "<|eot_id|>"]);
});
