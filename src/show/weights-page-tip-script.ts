/**
 * The part of the page's script that tells of a token what it knows, to the mouse and to the
 * keyboard. Each answer is one stop of the tab key, and arrow keys go on within it: as many stops
 * as tokens would make the page impassable.
 */
export const tipScript = String.raw`
/* Figures of a token */

/** A text with signs for what cannot be seen. */
function visible(text) {
  const escape = (character) => "\\u{" + character.codePointAt(0).toString(16) + "}";
  return text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥").replace(/[\p{C}\p{Z}]/gu, escape);
}

function probability(logp) {
  return logp === null ? "" : (Math.exp(logp) * 100).toPrecision(2).replace(/^(\d+)\.?e.*$/, "< 0.01") + " %";
}

function row(name, value, note = "") {
  return element("tr", "", element("th", "", name), element("td", "", value), element("td", "note", note));
}

function tipFor({ unit, parts, weight }) {
  const several = parts.length > 1;
  const [positive, negative, ratio] = ["positive", "negative", "ratio"].map((name) => sum(parts.map((part) => part[name])));
  const table = element("table", "",
    row("weight", figure(weight, 3), several ? "mean of " + parts.length + " tokens" : ""),
    row("log π⁺/π⁻", figure(ratio, 3), several ? "sum" : ""),
    row("log π⁺", figure(positive, 3), probability(positive)),
    row("log π⁻", figure(negative, 3), probability(negative)));
  const note = several ? " one character, several tokens" : " token " + unit.tokens[0];
  const name = element("p", "", element("b", "", visible(unit.text)), note);
  return several ? [name, table, partsTable(parts)] : [name, table];
}

function partsTable(parts) {
  const head = ["token", "weight", "log π⁺/π⁻", "log π⁺", "log π⁻"].map((title) => element("th", "", title));
  const rows = parts.map(({ token, weight, ratio, positive, negative }) =>
    element("tr", "", element("td", "", String(token)),
      ...[weight, ratio, positive, negative].map((value) => element("td", "", figure(value, 3)))));
  return element("table", "parts", element("tr", "", ...head), ...rows);
}

let told = null;

function showTip(token) {
  if (told === token) return;
  hideTip();
  told = token;
  token.setAttribute("aria-describedby", "tip");
  token.classList.add("told");
  tip.replaceChildren(...tipFor(token.told));
  tip.hidden = false;
  // Of a token over two lines, the larger part is the one to point at.
  const [place] = [...token.querySelector(".ink").getClientRects()].sort((a, b) => b.width - a.width);
  const above = place.top - tip.offsetHeight - 6;
  const left = place.left + place.width / 2 - tip.offsetWidth / 2;
  tip.style.top = (above >= 4 ? above : place.bottom + 6) + "px";
  tip.style.left = Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4)) + "px";
}

function hideTip() {
  told?.removeAttribute("aria-describedby");
  told?.classList.remove("told");
  told = null;
  tip.hidden = true;
}

const tokenAt = (target) => (target instanceof Element ? target.closest(".answer > .token") : null);

list.addEventListener("pointerover", ({ target }) => (tokenAt(target) ? showTip(tokenAt(target)) : hideTip()));
list.addEventListener("pointerleave", hideTip);
list.addEventListener("focusout", hideTip);
list.addEventListener("focusin", ({ target }) => {
  const token = tokenAt(target);
  if (!token) return;
  for (const other of token.parentElement.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
  token.tabIndex = 0;
  showTip(token);
});
list.addEventListener("keydown", (event) => {
  const token = tokenAt(event.target);
  if (!token) return;
  const { previousElementSibling, nextElementSibling, parentElement } = token;
  const goals = { ArrowLeft: previousElementSibling, ArrowRight: nextElementSibling,
    Home: parentElement.firstElementChild, End: parentElement.lastElementChild };
  if (!(event.key in goals) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  goals[event.key]?.focus();
});
document.addEventListener("keydown", ({ key }) => key === "Escape" && hideTip());
document.addEventListener("scroll", hideTip, { passive: true, capture: true });
`;
