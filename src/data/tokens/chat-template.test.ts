import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chatTemplateWarning } from "./chat-template.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { lettersDefinition, writeTokenizer } from "./testing/write-tokenizer.ts";

const template = "{% for message in messages %}{{ message.content }}{% endfor %}";

test.each([
  ["tokenizer_config.json", { bos_token: "<s>", chat_template: template }],
  ["tokenizer_config.json", { bos_token: "<s>", chat_template: [{ name: "default", template }] }],
  ["chat_template.json", { chat_template: template }],
])("a template in %s is said once, and not applied", async (name, content) => {
  const folder = await writeTokenizer(lettersDefinition(), { [name]: content });
  const { warnings } = await loadTokenizer(folder);
  expect(warnings).toEqual([expect.stringContaining(`${join(folder, name)}: the chat template is not applied`)]);
});

test("so is one in chat_template.jinja, beside one in the configuration or alone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-template-"));
  expect(chatTemplateWarning(folder, {})).toBeUndefined();
  await writeFile(join(folder, "chat_template.jinja"), template);
  expect(chatTemplateWarning(folder, {})).toContain("chat_template.jinja");
  expect(chatTemplateWarning(folder, { chat_template: template })).toContain("tokenizer_config.json");
});

test.each([{}, { chat_template: null }])("without a template nothing is said: %j", async (config) => {
  const folder = await writeTokenizer(lettersDefinition(), {
    "tokenizer_config.json": { bos_token: "<s>", ...config },
  });
  expect((await loadTokenizer(folder)).warnings).toEqual([]);
});
