/**
 * The look of the page. `--p` says how deep a colour is, on the way from the paper to blue or
 * orange through OKLab, where equal steps look equal. Both ends have the same lightness and chroma,
 * and are told apart by every kind of colour vision; text stays readable on them.
 */
export const pageStyle = `
:root {
  color-scheme: light;
  --paper: #fff; --ground: #f6f7f9; --ink: #16191d; --soft: #59616b; --line: #dde1e6; --strong: #aab2bc;
  --blue: oklch(0.71 0.135 245); --orange: oklch(0.71 0.135 52); --found: #7a3fb0; --focus: #1a1d21;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --paper: #1a1d21; --ground: #121417; --ink: #eceff2; --soft: #a2abb5; --line: #30353c; --strong: #59616b;
    --blue: oklch(0.52 0.13 250); --orange: oklch(0.52 0.13 48); --found: #d6b3f5; --focus: #fff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 76rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif;
}
h1, h2, h3, h4, p, dl, dd, table { margin: 0; }
h1 { font-size: 1.6rem; line-height: 1.25; letter-spacing: -0.01em; text-wrap: balance; }
h2 { font-size: 1.1rem; }
h3, h4, th, caption { font-size: 0.85rem; font-weight: 600; }
small, .note, dt, caption, th { color: var(--soft); font-weight: 400; }
small { font-size: 0.8rem; }
.note { font-size: 0.85rem; }
button, input, select { font: inherit; color: inherit; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
[hidden] { display: none !important; }
.up { --heat: color-mix(in oklab, var(--orange) var(--p), var(--paper)); }
.down { --heat: color-mix(in oklab, var(--blue) var(--p), var(--paper)); }
.columns { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.5rem; }

.top { display: grid; gap: 0.6rem; margin-bottom: 1.5rem; }
.top p { max-width: 46rem; color: var(--soft); }
.key { padding: 0 0.25em; border-radius: 3px; background: var(--heat); color: var(--ink); }
.facts { display: flex; flex-wrap: wrap; gap: 0.35rem 2rem; }
.facts dt { font-size: 0.75rem; }
.facts dd { font-size: 0.9rem; overflow-wrap: anywhere; }

.summary > section, .pair {
  padding: 1rem 1.25rem 1.25rem; border: 1px solid var(--line); border-radius: 8px; background: var(--paper);
}
.summary { margin-bottom: 2rem; }
.histogram { display: block; width: 100%; margin: 0.75rem 0; overflow: visible; }
.histogram text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.histogram rect { fill: var(--heat); stroke: var(--strong); stroke-width: 0.75; }
.grid { stroke: var(--line); }
.axis { stroke: var(--strong); }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem 1.5rem; }
.tables table { width: 100%; border-collapse: collapse; font-size: 0.85rem; align-self: start; }
caption { text-align: left; color: var(--ink); font-weight: 600; }
.tables td, .tables th {
  padding: 0.1rem 0; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums;
}
.tables th { font-size: 0.75rem; }
.tables :is(td, th):first-child {
  width: 60%; max-width: 0; overflow: hidden; text-align: left; text-overflow: ellipsis; white-space: nowrap;
}
.tables .token { padding: 0 0.3em; }
button.token { border: 0; text-align: start; cursor: pointer; }
button.token:focus-visible { outline-offset: -2px; }

.bar {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; align-items: center;
  justify-content: space-between; gap: 0.5rem 1.5rem;
  margin-bottom: 1rem; padding: 0.6rem 0; border-bottom: 1px solid var(--line); background: var(--ground);
  font-size: 0.85rem;
}
.controls { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1rem; }
.controls input[type="search"], .controls select, .turn {
  padding: 0.25rem 0.5rem; border: 1px solid var(--strong); border-radius: 5px; background: var(--paper);
}
.controls input[type="search"] { width: 12.5rem; max-width: 60vw; }
.controls input[type="checkbox"] { margin: 0; vertical-align: -0.1em; }
.pager {
  display: inline-flex; align-items: center; gap: 0.5rem; font-variant-numeric: tabular-nums; white-space: nowrap;
}
.turn { min-width: 2rem; cursor: pointer; }
.turn[aria-disabled="true"] { border-color: var(--line); color: var(--strong); cursor: default; }
.bottom { margin-top: 1.25rem; text-align: center; font-size: 0.85rem; }
.legend {
  display: flex; align-items: flex-start; gap: 0.5rem; color: var(--soft); font-size: 0.75rem; line-height: 1.2;
  white-space: nowrap;
}
.cells {
  display: flex; width: 11rem; height: 0.9rem; border: 1px solid var(--strong); border-radius: 3px; overflow: hidden;
}
.cells i { flex: 1; background: var(--heat); }
.ticks {
  display: flex; justify-content: space-between; margin: 0.15rem -1.25rem 0; font-variant-numeric: tabular-nums;
}
.ticks span { width: 2.5rem; text-align: center; }

#pairs { display: grid; gap: 1.25rem; }
.pair {
  display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.75rem; content-visibility: auto;
  contain-intrinsic-size: auto 20rem;
}
.pair > header { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1rem; }
.number {
  padding: 0; border: 0; background: none; font-weight: 600; cursor: pointer;
  text-decoration: underline dotted var(--strong); text-underline-offset: 3px;
}
.prompt {
  max-height: 15rem; overflow-y: auto; padding-left: 0.75rem; border-left: 3px solid var(--line); color: var(--soft);
  white-space: pre-wrap; overflow-wrap: anywhere;
}
h4 { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.6rem; margin-bottom: 0.25rem; }
.answer { line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere; }
.ink, .tables .token { border-radius: 3px; background: var(--heat, transparent); color: var(--ink); }
.ink { padding: 0.14em 0; -webkit-box-decoration-break: clone; box-decoration-break: clone; }
.answer > .token { outline: none; scroll-margin: 6rem 0 2rem; }
.answer > .token:hover > .ink, .token.told > .ink { outline: 2px solid var(--focus); }
.token.end > .ink {
  padding: 0.1em 0.35em; margin-left: 0.25em; border: 1px solid var(--strong); border-radius: 4px;
  font: 0.72em ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: nowrap;
}
.token.found > .ink { text-decoration: underline 2px var(--found); text-underline-offset: 3px; }
mark { background: none; color: inherit; text-decoration: underline 2px var(--found); text-underline-offset: 3px; }
.break { opacity: 0.55; user-select: none; }
.numbers .answer { line-height: 1.9; }
.numbers .ink[data-weight]::after {
  content: attr(data-weight); margin-left: 0.15em; font-size: 0.62em; font-weight: 600; vertical-align: -0.35em;
  font-variant-numeric: tabular-nums;
}
.none { padding: 2rem; text-align: center; color: var(--soft); }

#tip {
  position: fixed; z-index: 2; max-width: calc(100vw - 8px); padding: 0.5rem 0.7rem; border: 1px solid var(--strong);
  border-radius: 6px;
  background: var(--paper); box-shadow: 0 4px 16px rgb(0 0 0 / 0.22); font-size: 0.8rem; line-height: 1.4;
  pointer-events: none;
}
#tip b {
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere;
}
#tip p { max-width: 22rem; margin-bottom: 0.25rem; color: var(--soft); }
#tip b { color: var(--ink); }
#tip table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
#tip :is(td, th) { padding: 0 0.8rem 0 0; text-align: right; font-size: 0.8rem; font-weight: 400; }
#tip :is(td, th):last-child { padding-right: 0; }
#tip th:first-child { text-align: left; }
#tip .parts { margin-top: 0.4rem; border-top: 1px solid var(--line); }
#tip .parts td:first-child { text-align: left; }

@media screen and (max-width: 800px) {
  body { padding: 1.25rem 0.75rem 3rem; }
  .columns { grid-template-columns: minmax(0, 1fr); gap: 1rem; }
  .bar { position: static; }
  .summary > section, .pair { padding: 0.75rem 0.9rem 1rem; }
}
@media print {
  @page { margin: 14mm; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; background: none; font-size: 9.5pt; }
  .controls, .bottom, #tip { display: none; }
  .bar { position: static; justify-content: flex-end; background: none; }
  .summary > section, .pair { border-color: var(--strong); border-radius: 0; break-inside: avoid; }
  .histogram text { font-size: 17px; }
  .prompt { max-height: none; overflow: visible; }
  .token.told > .ink { outline: none; }
}
`;
