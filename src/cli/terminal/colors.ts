import type { WriteStream } from "node:tty";
import pc from "picocolors";

/**
 * Colours where NO_COLOR does not forbid them, and FORCE_COLOR asks for them or the stream is a
 * terminal that shows them.
 */
export function colorsFor(stream: Pick<WriteStream, "isTTY" | "hasColors">): ReturnType<typeof pc.createColors> {
  const { NO_COLOR = "", FORCE_COLOR = "" } = process.env;
  const forced = !["", "0", "false"].includes(FORCE_COLOR);
  // What is no terminal has no `hasColors`.
  return pc.createColors(NO_COLOR === "" && (forced || Boolean(stream.isTTY && stream.hasColors())));
}
