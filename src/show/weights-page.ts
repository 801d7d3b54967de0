import { createHash } from "node:crypto";
import { counted, grouped } from "../words.ts";
import type { HeatScale } from "./heat-scale.ts";
import { type PageData, pageData } from "./page-data.ts";
import { escapeHtml, histogram, legend, unitTable } from "./page-figures.ts";
import type { ShownPair } from "./shown-pair.ts";
import { pageScript } from "./weights-page-script.ts";
import { pageStyle } from "./weights-page-style.ts";
import { type SideSummary, summarize, type WeightsSummary } from "./weights-summary.ts";

export interface WeightsPageAbout {
  readonly title: string;
  /** The transform from log-ratios to weights, in words or as a formula. */
  readonly transform: string;
  /** The origin of the weights, such as models and files, by name. */
  readonly identity: Readonly<Record<string, string>>;
  /** The number of all pairs, of which the page may show a part. */
  readonly totalPairs: number;
}

/**
 * A page that shows the weights of the pairs' tokens. It is one file that needs nothing else and
 * asks for nothing: its policy lets nothing be loaded and no script run but its own, whatever the
 * texts hold.
 */
export function weightsPage(pairs: Iterable<ShownPair>, about: WeightsPageAbout): string {
  const data = pageData(pairs);
  const summary = summarize(data);
  const scriptHash = createHash("sha256").update(pageScript).digest("base64");
  const policy = [
    ...["default-src 'none'", "base-uri 'none'", "form-action 'none'", "style-src 'unsafe-inline'"],
    `script-src 'sha256-${scriptHash}'`,
  ].join("; ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(about.title)}</title>
<style>${pageStyle}</style>
</head>
<body>
${header(about, data.pairs.length)}
<main>
${summarySection(summary)}
${pairsSection(summary.scale)}
</main>
<div id="tip" role="tooltip" hidden></div>
<script type="application/json" id="data">${embedded({ ...data, scale: summary.scale })}</script>
<script>${pageScript}</script>
</body>
</html>
`;
}

function header({ title, transform, identity, totalPairs }: WeightsPageAbout, shown: number): string {
  const all = shown === 1 ? "The only pair" : `All ${grouped(shown)} pairs`;
  const pairs = shown === totalPairs ? all : `${grouped(shown)} of ${counted(totalPairs, "pair")}`;
  const facts = Object.entries({ Weights: transform, ...identity, Shown: pairs }).map(
    ([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`,
  );
  return `<header class="top">
<h1>${escapeHtml(title)}</h1>
<p>How much each token of a chosen and a rejected answer counts in the loss. A weight of 1 is neutral;
<span class="key up" style="--p:70%">more</span> and <span class="key down" style="--p:70%">less</span> follow from log π⁺/π⁻,
the log-ratio of two contrastive models at that token.</p>
<dl class="facts">${facts.join("\n")}</dl>
</header>`;
}

function summarySection({ scale, chosen, rejected }: WeightsSummary): string {
  const most = Math.max(...chosen.bins, ...rejected.bins);
  const column = (name: string, { tokens, mean, bins, highest, lowest }: SideSummary) => `<section>
<h2>${name} answers</h2>
<p class="note">${counted(tokens, "token")}${Number.isNaN(mean) ? "" : `, mean weight ${mean.toFixed(2)}`}</p>
${histogram(`Distribution of the weights in ${name.toLowerCase()} answers`, bins, most, scale)}
<div class="tables">
${unitTable("Highest mean weight", highest, scale)}
${unitTable("Lowest mean weight", lowest, scale)}
</div>
</section>`;
  return `<div class="summary columns">
${column("Chosen", chosen)}
${column("Rejected", rejected)}
</div>`;
}

function pairsSection(scale: HeatScale): string {
  return `<section aria-labelledby="pairs-title">
<h2 id="pairs-title">Pairs</h2>
<div class="bar">
<div class="controls">
<label>Search <input type="search" id="search" placeholder="text, or #12 for pair 12" autocomplete="off"></label>
<label>Order <select id="order">
<option value="number">file order</option>
<option value="spread">most contrast</option>
<option value="ratio">largest |log π⁺/π⁻|</option>
</select></label>
<label><input type="checkbox" id="numbers"> numbers</label>
<span class="pager"></span>
</div>
${legend(scale)}
</div>
<noscript><p>The pairs are shown by a script within this page, which this browser does not run.</p></noscript>
<div id="pairs"></div>
<div class="bottom"><span class="pager"></span></div>
</section>`;
}

/** JSON for a script element, which ends at the first `</script` and changes its ways at `<!--`. */
function embedded(value: PageData & { scale: HeatScale }): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}
