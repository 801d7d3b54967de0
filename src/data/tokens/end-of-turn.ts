import { type ChatTemplate, TemplateRefusal } from "./chat-template.ts";

/**
 * The token that a template puts behind the assistant's words; undefined where it puts none, or
 * refuses a plain conversation.
 */
export function endOfTurn(template: ChatTemplate, specialTokens: ReadonlyMap<number, string>): number | undefined {
  const marker = "c0ffee";
  const turns = ["user", "assistant"].map((role) => ({ role, content: `${role} ${marker}` }));
  let text: string;
  try {
    text = template.render({ messages: turns }, false);
  } catch (error) {
    if (error instanceof TemplateRefusal) return undefined;
    throw error;
  }
  const start = text.lastIndexOf(marker);
  if (start < 0) return undefined;
  const behind = text.slice(start + marker.length);
  const found = [...specialTokens]
    .map(([id, token]) => ({ id, at: behind.indexOf(token), length: token.length }))
    .filter(({ at }) => at >= 0)
    .sort((one, other) => one.at - other.at || other.length - one.length);
  return found[0]?.id;
}
