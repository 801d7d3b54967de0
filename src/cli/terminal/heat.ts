/**
 * Backgrounds of a terminal's 256 colours, from pale yellow to red and from pale to deep blue;
 * below the first, none.
 */
const warm = [230, 229, 222, 215, 208, 202, 196];
const cold = [195, 159, 153, 117, 111, 75, 69];

/**
 * Text with a background for each piece: the higher its value, the redder; below 0, the lower, the
 * bluer. Around line breaks there is none, since some terminals would fill the line with it.
 *
 * @param most the value that is wholly red, as its negative is wholly blue
 */
export function heatText(pieces: readonly { readonly text: string; readonly value: number }[], most: number): string {
  return pieces
    .map(({ text, value }) => {
      const ramp = value < 0 ? cold : warm;
      const color = ramp[Math.min(ramp.length, Math.round((Math.abs(value) / most) * ramp.length)) - 1];
      if (color === undefined) return text;
      return text.replace(/[^\n]+/g, (line) => `\x1b[30;48;5;${color}m${line}\x1b[0m`);
    })
    .join("");
}
