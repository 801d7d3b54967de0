import { quoted } from "../../one-line.ts";
import { BadRecord } from "../files/convert.ts";
import { kindOf } from "../files/read.ts";
import type { Message } from "../tokens/chat-template.ts";

/** Names of roles in the form of ShareGPT. */
const shareGptRoles: Readonly<Record<string, string>> = {
  human: "user",
  gpt: "assistant",
  chatgpt: "assistant",
  bing: "assistant",
  bard: "assistant",
  model: "assistant",
  observation: "tool",
};

/** True if a value is meant as messages: `{role, content}`, `{from, value}`, or a list of them. */
export function isConversation(value: unknown): boolean {
  return Array.isArray(value) ? value.some(isMessage) : isMessage(value);
}

function isMessage(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return ("role" in value && ("content" in value || "tool_calls" in value)) || ("from" in value && "value" in value);
}

/**
 * The messages in a column: a list, or one message. Fields of null are left out, for Parquet has
 * them wherever another message has the field.
 *
 * @throws BadRecord for what is no message, or has content other than text.
 */
export function messagesIn(value: unknown, column: string): Message[] {
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw new BadRecord("holds no message", column);
  return list.map((item, index) => messageOf(item, Array.isArray(value) ? `${column}.${index}` : column));
}

function messageOf(given: unknown, path: string): Message {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new BadRecord(`must be a message {role, content}, not ${kindOf(given)}`, path);
  const { from, value, role: ownRole, content: ownContent, ...others } = given as Record<string, unknown>;
  const named = ownRole ?? from;
  if (typeof named !== "string" || named.trim() === "") throw new BadRecord("has no role", path);
  const content = contentOf(ownContent ?? value, path);
  const fields = withoutNulls(others) as Record<string, unknown>;
  const calls = fields.tool_calls;
  if (calls !== undefined && !Array.isArray(calls))
    throw new BadRecord(`must be a list, not ${kindOf(calls)}`, `${path}.tool_calls`);
  const onlyFields = Object.keys(fields).some((key) => key === "tool_calls" || key === "reasoning_content");
  if (content === undefined && !onlyFields) throw new BadRecord("has no content", path);
  checkCharacters(fields, path);
  const role = ownRole === undefined ? (shareGptRoles[named] ?? named) : named;
  return { role, ...fields, content: content ?? "" };
}

/** A text, or its parts; undefined where there is none. */
function contentOf(content: unknown, path: string): unknown {
  if (content === null || content === undefined) return undefined;
  const field = `${path}.content`;
  if (typeof content !== "string" && !Array.isArray(content))
    throw new BadRecord(`must be a text or a list of text parts, not ${kindOf(content)}`, field);
  checkCharacters(content, field);
  if (typeof content === "string") return content;
  return content.map((part, index) => {
    if (typeof part === "string") return { type: "text", text: part };
    const { type, text } = (part ?? {}) as { type?: unknown; text?: unknown };
    if (typeof text === "string" && (type === "text" || type === undefined)) return { type: "text", text };
    const what = typeof type === "string" ? `a part of type ${quoted(type)}` : kindOf(part);
    throw new BadRecord(`must be a text part {type: "text", text}, not ${what}`, `${field}.${index}`);
  });
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, part]) => part !== null && part !== undefined);
  return Object.fromEntries(entries.map(([key, part]) => [key, withoutNulls(part)]));
}

function checkCharacters(value: unknown, field: string): void {
  for (const text of textsIn(value))
    if (/\p{Surrogate}/u.test(text)) throw new BadRecord("holds half a character (a lone surrogate escape)", field);
}

/** All texts in a value. */
export function* textsIn(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null) for (const part of Object.values(value)) yield* textsIn(part);
}

/** The words of a message. */
export function wordsOf({ content }: Message): string {
  if (typeof content === "string") return content;
  return Array.isArray(content) ? content.map(({ text }: { text: string }) => text).join("") : "";
}

/** True if a message says nothing. */
export function isBlank(message: Message): boolean {
  const { tool_calls: calls, reasoning_content: thoughts } = message;
  return wordsOf(message).trim() === "" && !(Array.isArray(calls) && calls.length > 0) && !thoughts;
}

/**
 * The tools of a record: a list, or a text that holds one as JSON; undefined where there are none.
 *
 * @throws BadRecord for anything else.
 */
export function toolsIn(value: unknown, column: string): unknown[] | undefined {
  const list = typeof value === "string" && value.trim() !== "" ? parsed(value, column) : value;
  if (list === undefined || list === null || list === "") return undefined;
  if (!Array.isArray(list)) throw new BadRecord(`must be a list of tools, not ${kindOf(list)}`, column);
  return list.length === 0 ? undefined : (withoutNulls(list) as unknown[]);
}

function parsed(text: string, column: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BadRecord(`is not valid JSON: ${(error as Error).message}`, column);
  }
}
