/**
 * Lets the program hear what has happened meanwhile, such as Ctrl-C, before it goes on with a long
 * computation. Works in Node and in browsers.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    // Timers wait at least a millisecond.
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve);
  });
}
