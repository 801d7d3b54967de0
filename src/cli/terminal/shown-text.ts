import { oneLine } from "../../one-line.ts";
import { withoutControls } from "../../show/visible-text.ts";
import { withFlags } from "./flags.ts";

/**
 * A message as it is shown: one line that cannot act on a terminal, whatever it quotes. Lines of a
 * list below it begin with two spaces, so that nothing quoted passes for a message of its own.
 * Options are named by their flags.
 */
export function shownMessage(text: string): string {
  return withFlags(text)
    .split(/\n(?= {2})/)
    .map(oneLine)
    .join("\n");
}

/**
 * Text that a command was asked for: as it is for files and pipes, without what acts for a
 * terminal.
 */
export function shownText(text: string, { isTTY }: { isTTY?: boolean } = process.stdout): string {
  return isTTY ? withoutControls(text) : text;
}
