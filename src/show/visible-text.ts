/**
 * A token's text with nothing in it that hides or acts: spaces, line breaks and tabs become signs,
 * control characters their pictures. For one token on its own; within an answer, spaces and breaks
 * are to stay what they are, see `withoutControls`.
 */
export function visibleText(text: string): string {
  return withoutControls(text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥"));
}

/**
 * Signs for control characters other than line break and tab, and for those that turn the direction
 * of text: no token may act on the terminal or on what is around it.
 */
export function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it replaces control characters
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, picture);
}

function picture(control: string): string {
  const code = control.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "␡" : "\uFFFD";
}
