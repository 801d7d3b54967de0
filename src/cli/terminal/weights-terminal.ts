import { type HeatScale, heat, scaleTicks } from "../../show/heat-scale.ts";
import { meanOf } from "../../show/page-data.ts";
import { partsOf, type ShownPair, type ShownToken } from "../../show/shown-pair.ts";
import { withoutControls } from "../../show/visible-text.ts";
import { counted } from "../../words.ts";
import type { colorsFor } from "./colors.ts";
import { heatText } from "./heat.ts";

type Colors = ReturnType<typeof colorsFor>;

/** A weight closer to 1 than this is left out where there are no colours. */
const neutral = 0.05;

/**
 * With colours, less heat than this is not shown: even the palest background of a terminal is loud.
 */
const faint = 0.2;

/**
 * A pair as lines for the terminal: its prompt, and both answers with the weights of their tokens,
 * as backgrounds where the terminal has colours, else as numbers behind the tokens.
 */
export function weightsText(pair: ShownPair, scale: HeatScale, colors: Colors): string {
  const { bold, dim } = colors;
  const answer = (name: string, tokens: readonly ShownToken[]) => {
    const weights = tokens.flatMap(partsOf).map(({ weight }) => weight);
    const mean = meanOf(weights);
    const count = counted(weights.length, "token");
    const note = Number.isNaN(mean) ? count : `${count}, mean weight ${mean.toFixed(2)}`;
    const text = colors.isColorSupported ? colored(tokens, scale) : numbered(tokens);
    return `  ${bold(name)}${dim(`  ${note}`)}\n${indented(text)}`;
  };
  return [
    bold(`Pair ${pair.number}`),
    ...(pair.prompt === "" ? [] : [indented(withoutControls(pair.prompt), dim)]),
    answer("chosen", pair.chosen),
    answer("rejected", pair.rejected),
  ].join("\n");
}

/** A line that explains what `weightsText` shows. */
export function weightsLegend(scale: HeatScale, { isColorSupported, dim }: Colors): string {
  if (!isColorSupported)
    return `⟨…⟩ is the weight of the token before it, told where it is more than ${neutral} away from 1`;
  const samples = scaleTicks(scale).map(({ heat, label }) => ({ text: ` ${label} `, value: heat }));
  return `${dim("weights")}  ${heatText(samples, 1)}`;
}

function colored(tokens: readonly ShownToken[], scale: HeatScale): string {
  const pieces = tokens.map((token) => {
    const value = heat(token.weight, scale);
    return { text: tokenText(token), value: Math.abs(value) < faint ? 0 : value };
  });
  return heatText(pieces, 1);
}

function numbered(tokens: readonly ShownToken[]): string {
  return tokens
    .map((token) => {
      const { weight } = token;
      const told = Number.isFinite(weight) && Math.abs(weight - 1) > neutral;
      // The number stays on the line of its token.
      return told ? tokenText(token).replace(/\n?$/, `⟨${weight.toFixed(2)}⟩$&`) : tokenText(token);
    })
    .join("");
}

function tokenText({ text }: ShownToken): string {
  return withoutControls(text).replaceAll("\n", "↵\n");
}

function indented(text: string, style: (line: string) => string = String): string {
  return text
    .split("\n")
    .map((line) => `    ${style(line)}`)
    .join("\n");
}
