import type { WriteStream } from "node:tty";
import pc from "picocolors";

/** Colours where the stream is a terminal that shows them; Node minds NO_COLOR, FORCE_COLOR and TERM. */
export function colorsFor(stream: Pick<WriteStream, "isTTY" | "hasColors">): ReturnType<typeof pc.createColors> {
  return pc.createColors(Boolean(stream.isTTY && stream.hasColors()));
}
