/**
 * True if a regular expression may backtrack without end: whether it repeats, without a bound, a
 * group that itself repeats, leaves something out or has alternatives. Some that are refused would
 * do no harm.
 */
export function mayRunAway(expression: string): boolean {
  const open: { variable: boolean }[] = [];
  let closed: { variable: boolean } | undefined;
  for (let at = 0; at < expression.length; at++) {
    const character = expression[at]!;
    const group = closed;
    closed = undefined;
    if (character === "\\") at++;
    else if (character === "[") at = endOfClass(expression, at);
    else if (character === "(") {
      open.push({ variable: false });
      // What follows `(?` says what kind of group it is.
      if (expression[at + 1] === "?") at++;
    } else if (character === ")") {
      closed = open.pop();
      // A group of variable length makes the one around it so.
      const outer = open.at(-1);
      if (outer && closed?.variable) outer.variable = true;
    } else if ("*+?{|".includes(character)) {
      const unbounded = character === "*" || character === "+" || /^\{\d*,\}/.test(expression.slice(at));
      if (unbounded && group?.variable) return true;
      const inner = open.at(-1);
      if (inner && !(character === "{" && /^\{\d+\}/.test(expression.slice(at)))) inner.variable = true;
      if (character === "{") at = Math.max(at, expression.indexOf("}", at));
    }
  }
  return false;
}

/** The place of the bracket that ends a character class; classes can hold others. */
function endOfClass(expression: string, start: number): number {
  let depth = 0;
  for (let at = start; at < expression.length; at++) {
    if (expression[at] === "\\") at++;
    else if (expression[at] === "[") depth++;
    else if (expression[at] === "]" && --depth === 0) return at;
  }
  return expression.length;
}
