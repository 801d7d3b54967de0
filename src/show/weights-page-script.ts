import { tipScript } from "./weights-page-tip-script.ts";

/**
 * The script of the page of weights: draws the pairs, twenty at a time, finds and sorts them, and
 * tells of a token what it knows. Texts get into the page as text nodes only.
 */
export const pageScript = String.raw`
"use strict";
(() => {
const { scale, units, pairs } = JSON.parse(byId("data").textContent);
const perPage = 20;
const list = byId("pairs"), tip = byId("tip"), search = byId("search"), order = byId("order"), numbers = byId("numbers");
const pagers = [...document.querySelectorAll(".pager")];
const state = { found: pairs, page: 0, query: "" };

function byId(id) { return document.getElementById(id); }

/** An element with a class and children: elements or texts. */
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/* Figures and texts */

function heatOf(weight) {
  const value = scale.linear ? (weight - 1) / (scale.most - 1) : Math.log(Math.max(weight, 0)) / Math.log(scale.most);
  return Math.min(1, Math.max(-1, value));
}

/** A text without the characters that turn the direction of what follows. */
function tame(text) { return text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "\ufffd"); }

/** A figure for people; a dash where there is none. */
function figure(value, digits) {
  return value === null || !Number.isFinite(value) ? "–" : value.toFixed(digits).replace("-", "−");
}

function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? known.reduce((total, value) => total + value, 0) / known.length : null;
}

/** The sum, or null if any is unknown. */
function sum(values) {
  return values.includes(null) ? null : values.reduce((total, value) => total + value, 0);
}

/** The figures of each token that a unit is made of. */
function partsOf(answer, unit, start) {
  return unit.tokens.map((token, index) => {
    const [weight, positive, negative] = [answer.weights, answer.positive, answer.negative].map((all) =>
      all[start + index] === null ? null : all[start + index] / 1000);
    return { token, weight, positive, negative, ratio: positive === null || negative === null ? null : positive - negative };
  });
}

/* Pairs */

function drawAnswer(name, answer) {
  const shown = answer.units.map((place) => units[place]);
  const hits = matches(shown.map(({ text }) => text));
  const body = element("div", "answer");
  body.dir = "auto";
  body.setAttribute("role", "group");
  let start = 0;
  shown.forEach((unit, index) => {
    const parts = partsOf(answer, unit, start);
    start += parts.length;
    body.append(drawToken(unit, parts, hits[index], index === 0));
    // A break at the end stands behind the token, so that its number stays on its line.
    if (unit.text.endsWith("\n")) body.append("\n");
  });
  if (body.firstElementChild) body.firstElementChild.tabIndex = 0;
  const [tokens, average] = [answer.weights.length, mean(answer.weights)];
  const count = tokens + (tokens === 1 ? " token" : " tokens");
  const note = average === null ? count : count + ", mean weight " + figure(average / 1000, 2);
  body.setAttribute("aria-label", name + " answer, " + note + "; arrow keys go from token to token");
  return element("section", "", element("h4", "", name, element("small", "", note)), body);
}

function drawToken(unit, parts, found, first) {
  const weight = mean(parts.map((part) => part.weight));
  // A space in front has no colour, which would be a stray bar at the end of a line, and would only
  // indent the first line.
  const ink = element("span", "ink");
  const space = unit.text.trim() === "" ? "" : /^ */.exec(unit.text)[0];
  const token = element("span", "token", first ? "" : space, ink);
  token.tabIndex = -1;
  if (unit.end) token.classList.add("end");
  if (found) token.classList.add("found");
  if (weight !== null) {
    const heat = heatOf(weight);
    token.classList.add(heat < 0 ? "down" : "up");
    token.style.setProperty("--p", (Math.abs(heat) * 100).toFixed(1) + "%");
    if (Math.abs(weight - 1) >= 0.05) ink.dataset.weight = figure(weight, 2);
  }
  const lines = tame(unit.text.slice(space.length)).split("\n");
  lines.forEach((line, index) => {
    ink.append(line);
    if (index === lines.length - 1) return;
    ink.append(element("span", "break", "↵"));
    if (index < lines.length - 2 || lines.at(-1) !== "") ink.append("\n");
  });
  token.told = { unit, parts, weight };
  return token;
}

function drawPair(pair) {
  const alone = element("button", "number", "#" + pair.number);
  alone.type = "button";
  alone.title = "show this pair alone";
  alone.dataset.search = "#" + pair.number;
  const notes = "spread of weights " + thousandths(pair.spread) + ", mean |log π⁺/π⁻| " + thousandths(pair.ratio);
  const prompt = element("div", "prompt", ...marked(tame(pair.prompt) || "(no prompt)"));
  prompt.dir = "auto";
  return element("article", "pair",
    element("header", "", element("h3", "", "Pair ", alone), element("small", "", notes)), prompt,
    element("div", "columns", drawAnswer("Chosen", pair.chosen), drawAnswer("Rejected", pair.rejected)));
}

function thousandths(value) { return figure(value === null ? null : value / 1000, 2); }

/* Search */

function textOf(pair) {
  const text = (answer) => answer.units.map((place) => units[place].text).join("");
  pair.text ??= [pair.prompt, text(pair.chosen), text(pair.rejected)].join("\n").toLowerCase();
  return pair.text;
}

/** Marks the texts, of those that follow each other, that hold a part of what is searched. */
function matches(texts) {
  if (!state.query) return [];
  const lower = texts.map((text) => text.toLowerCase());
  const whole = lower.join("");
  const hits = [];
  let end = 0, match = whole.indexOf(state.query);
  lower.forEach((text, index) => {
    const start = end;
    end += text.length;
    while (match >= 0 && match + state.query.length <= start) match = whole.indexOf(state.query, match + 1);
    hits[index] = match >= 0 && match < end;
  });
  return hits;
}

/** A text with marks around what is searched. */
function marked(text) {
  const lower = text.toLowerCase();
  if (!state.query || lower.length !== text.length) return [text];
  const pieces = [];
  let start = 0;
  for (let match = lower.indexOf(state.query); match >= 0; match = lower.indexOf(state.query, start)) {
    pieces.push(text.slice(start, match), element("mark", "", text.slice(match, match + state.query.length)));
    start = match + state.query.length;
  }
  return [...pieces, text.slice(start)];
}

function find() {
  const wanted = search.value.trim().toLowerCase();
  const number = /^#(\d+)$/.exec(wanted);
  state.query = number ? "" : wanted;
  state.found = pairs.filter((pair) => (number ? pair.number === Number(number[1]) : textOf(pair).includes(wanted)));
  if (order.value !== "number") state.found.sort((a, b) => (b[order.value] ?? -1) - (a[order.value] ?? -1));
  state.page = 0;
  draw();
}

function draw() {
  hideTip();
  const start = state.page * perPage;
  const shown = state.found.slice(start, start + perPage);
  list.replaceChildren(...shown.map(drawPair));
  const [from, to, all] = [start + 1, start + shown.length, state.found.length].map((count) => count.toLocaleString("en-US"));
  const range = shown.length === 0 ? "none" : from + "–" + to + " of " + all;
  if (shown.length === 0) list.append(element("p", "none", pairs.length === 0 ? "There are no pairs." : "No pair has this text."));
  for (const pager of pagers) {
    const [back, told, on] = pager.children;
    told.textContent = range;
    back.setAttribute("aria-disabled", !canTurn(-1));
    on.setAttribute("aria-disabled", !canTurn(1));
  }
}

function canTurn(by) { return state.page + by >= 0 && (state.page + by) * perPage < state.found.length; }

/** A button that turns the page. One that cannot is not disabled, since it would lose the focus. */
function turner(sign, label, by) {
  const button = element("button", "turn", sign);
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => {
    if (!canTurn(by)) return;
    state.page += by;
    draw();
    list.parentElement.scrollIntoView();
  });
  return button;
}
${tipScript}
/* What is pressed */

search.addEventListener("input", find);
order.addEventListener("change", find);
numbers.addEventListener("change", () => list.classList.toggle("numbers", numbers.checked));
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-search]");
  if (!button) return;
  search.value = search.value === button.dataset.search ? "" : button.dataset.search;
  find();
  list.parentElement.scrollIntoView();
});
pagers.forEach((pager, index) => {
  const told = element("output");
  if (index > 0) told.setAttribute("aria-live", "off");
  pager.append(turner("‹", "previous pairs", -1), told, turner("›", "next pairs", 1));
});
find();
})();
`;
