import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { UserError } from "../../errors.ts";
import { quoted } from "../../one-line.ts";
import { oneOf } from "../../words.ts";

/** One turn of a conversation, as chat templates take it. */
export interface Message {
  readonly role: string;
  /** A text, or a list of parts such as `{type: "text", text}`. */
  readonly content?: unknown;
  readonly [field: string]: unknown;
}

/** What a chat template renders. */
export interface Conversation {
  readonly messages: readonly Message[];
  /** Descriptions of functions that the assistant may call. */
  readonly tools?: readonly unknown[] | undefined;
  /** Further variables of the template, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** The text of a template, and the file that it stands in. */
export interface TemplateSource {
  readonly file: string;
  readonly text: string;
}

/** Templates by name. One without a name is called `default`. */
export type TemplateSources = ReadonlyMap<string, TemplateSource>;

/** Thrown where a template refuses a conversation; the message is the template's own. */
export class TemplateRefusal extends Error {
  override readonly name = "TemplateRefusal";
}

/**
 * A model's chat template: conversations to the text that the model reads. It renders as
 * `apply_chat_template` of transformers does, with the same variables and functions.
 */
export class ChatTemplate {
  /** The file of the template, for error messages. */
  readonly file: string;
  readonly #template: Program;
  readonly #forTools: Program | undefined;
  readonly #variables: Readonly<Record<string, unknown>>;
  /** True if the template takes a list of parts as content, and whether it takes nothing else. */
  readonly #parts: "only" | "also" | "never";

  /**
   * @param sources the templates of a model
   * @param variables those of every conversation, such as `bos_token`
   * @param name which template to take; by default `tool_use` for conversations with tools, if
   * there is one, and else `default`
   * @throws UserError for a template that is not there, or is no Jinja.
   */
  constructor(sources: TemplateSources, variables: Readonly<Record<string, unknown>>, name?: string) {
    const source = sources.get(name ?? "default");
    if (!source) {
      const problem = `has no chat template ${quoted(name ?? "default")}`;
      const [{ file }] = [...sources.values()] as [TemplateSource];
      throw new UserError(problem, { file, hint: `\`data.template\` can be ${oneOf([...sources.keys()])}` });
    }
    this.file = source.file;
    this.#variables = variables;
    this.#template = parsed(source);
    const forTools = name === undefined ? sources.get("tool_use") : undefined;
    this.#forTools = forTools && parsed(forTools);
    this.#parts = this.#takesParts();
  }

  /**
   * The text of a conversation.
   *
   * @param generationPrompt whether the beginning of the assistant's next turn follows
   * @throws TemplateRefusal where the template raises an error.
   */
  render({ messages, tools, variables }: Conversation, generationPrompt: boolean): string {
    const fitting = messages.map((message) => ({ ...message, ...this.#content(message) }));
    const given = { ...this.#variables, ...variables, tools: tools ?? null, documents: null };
    const template = tools ? (this.#forTools ?? this.#template) : this.#template;
    return rendered(template, { ...given, messages: fitting, add_generation_prompt: generationPrompt });
  }

  /** Content in the form that the template takes: texts are joined where it takes no parts. */
  #content({ content }: Message): { content?: unknown } {
    if (this.#parts === "only" && typeof content === "string") return { content: [{ type: "text", text: content }] };
    if (this.#parts !== "never" || !Array.isArray(content)) return {};
    return { content: content.map((part) => (part as { text: string }).text).join("") };
  }

  #takesParts(): "only" | "also" | "never" {
    const probe = "probe";
    const shows = (content: unknown) => {
      const given = { ...this.#variables, tools: null, messages: [{ role: "user", content }] };
      try {
        const text = rendered(this.#template, { ...given, add_generation_prompt: false });
        return text.includes(probe) ? text : undefined;
      } catch {
        return undefined;
      }
    };
    const [text, parts] = [shows(probe), shows([{ type: "text", text: probe }])];
    if (text === undefined) return parts === undefined ? "never" : "only";
    return parts === text ? "also" : "never";
  }
}

type Program = ReturnType<typeof parse>;

function parsed({ file, text }: TemplateSource): Program {
  try {
    return withPythonsStrip(parse(tokenize(text, { trim_blocks: true, lstrip_blocks: true })));
  } catch (error) {
    throw new UserError(`the chat template cannot be read: ${messageOf(error)}`, { file, cause: error });
  }
}

type Node = Readonly<Record<string, unknown>>;

/**
 * The library's `strip`, `lstrip` and `rstrip` take no argument and cut all white space, where
 * Python's `strip("\n")` cuts line breaks only. Calls with an argument become calls of a function
 * of ours.
 */
function withPythonsStrip(node: Program): Program {
  const changed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(changed);
    if (typeof value !== "object" || value === null || !("type" in value)) return value;
    const node = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, changed(part)])) as Node;
    const { type, callee, args } = node as { type: string; callee?: Node; args?: readonly unknown[] };
    if (type !== "CallExpression" || callee?.type !== "MemberExpression" || args?.length !== 1) return node;
    const method = (callee.property as Node).value;
    if (callee.computed || !strips.has(method as string)) return node;
    return { ...node, callee: { type: "Identifier", value: `python ${method}` }, args: [callee.object, args[0]] };
  };
  return changed(node) as Program;
}

/** Which ends each method cuts. */
const strips = new Map([
  ["strip", { start: true, end: true }],
  ["lstrip", { start: true, end: false }],
  ["rstrip", { start: false, end: true }],
]);

function stripped(text: string, characters: string, { start, end }: { start: boolean; end: boolean }): string {
  const cut = new Set(characters);
  const points = [...text];
  let [from, to] = [0, points.length];
  while (start && from < to && cut.has(points[from]!)) from++;
  while (end && to > from && cut.has(points[to - 1]!)) to--;
  return points.slice(from, to).join("");
}

function rendered(template: Program, variables: Readonly<Record<string, unknown>>): string {
  const environment = new Environment();
  try {
    for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
    return (new Interpreter(environment).run(template) as { value: string }).value;
  } catch (error) {
    throw new TemplateRefusal(messageOf(error), { cause: error });
  }
}

/**
 * Names that every template can use besides the variables of its conversation. Those of the library
 * cannot be replaced one by one, lack formats of time, and write months in the system's language.
 */
const globals = {
  ...{ true: true, false: false, none: null, True: true, False: false, None: null },
  range: (start: number, end?: number, step = 1) => {
    const [from, to] = end === undefined ? [0, start] : [start, end];
    return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, index) => from + index * step);
  },
  raise_exception: (message: string) => {
    throw new Error(message);
  },
  strftime_now: timeNow,
  ...Object.fromEntries(
    [...strips].map(([name, ends]) => [
      `python ${name}`,
      (text: string, characters: string) => stripped(text, characters, ends),
    ]),
  ),
};

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The time as Python's `strftime` writes it in the C locale. */
function timeNow(format: string): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, "0");
  const name = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat("en-US", options).format(now);
  const parts: Record<string, () => string> = {
    Y: () => String(now.getFullYear()),
    y: () => two(now.getFullYear() % 100),
    m: () => two(now.getMonth() + 1),
    d: () => two(now.getDate()),
    B: () => name({ month: "long" }),
    b: () => name({ month: "short" }),
    A: () => name({ weekday: "long" }),
    a: () => name({ weekday: "short" }),
    H: () => two(now.getHours()),
    I: () => two(now.getHours() % 12 || 12),
    M: () => two(now.getMinutes()),
    S: () => two(now.getSeconds()),
    p: () => (now.getHours() < 12 ? "AM" : "PM"),
    "%": () => "%",
  };
  return format.replace(/%([a-zA-Z%])/g, (whole, letter: string) => parts[letter]?.() ?? whole);
}

/**
 * A plain template for models without one, ChatML. Where the vocabulary has no `<|im_end|>`, a turn
 * ends with EOS, which the model knows.
 *
 * @param knows whether the vocabulary has a token
 */
export function chatml(file: string, knows: (token: string) => boolean): TemplateSource {
  const end = knows("<|im_end|>") ? "'<|im_end|>'" : "eos_token";
  const text =
    "{% for message in messages %}" +
    `{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + ${end} + '\\n' }}` +
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  return { file, text };
}
