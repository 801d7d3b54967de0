import fc from "fast-check";
import { expect, test } from "vitest";
import { StoppableText } from "./stop-strings.ts";

/**
 * Adds pieces until a stop string is there: the text, what came out at each piece, and whether it
 * stopped.
 */
function add(stops: readonly string[], pieces: readonly string[]) {
  const text = new StoppableText(stops);
  const shown: string[] = [];
  for (const [index, piece] of pieces.entries()) {
    const stopped = text.add(piece);
    shown.push(text.take({ final: stopped || index === pieces.length - 1 }));
    if (stopped) return { text: text.text, shown, stopped };
  }
  return { text: text.text, shown, stopped: false };
}

test("a stop string across pieces never shows", () => {
  const result = add(["\n\nHuman:"], ["Hi", "\n", "\nHu", "man: bye"]);
  expect(result).toEqual({ text: "Hi", shown: ["Hi", "", "", ""], stopped: true });
});

test("what only begins like a stop string shows as soon as that is clear", () => {
  expect(add(["\n\n"], ["a\n", "b"]).shown).toEqual(["a", "\nb"]);
  expect(add(["END"], ["E", "EN", "d"]).shown).toEqual(["", "E", "ENd"]);
  expect(add(["END"], ["the EN"])).toEqual({ text: "the EN", shown: ["the EN"], stopped: false });
});

test("the first place counts, whichever string is there", () => {
  expect(add(["c", "bcd", "x"], ["abcdx"]).text).toBe("a");
  expect(add([], ["abc"])).toEqual({ text: "abc", shown: ["abc"], stopped: false });
});

test("however the text comes in pieces, it ends before the first stop string", () => {
  const piece = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 3 });
  const stop = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), fc.array(stop, { maxLength: 3 }), (pieces, stops) => {
      const result = add(stops, pieces);
      const whole = pieces.join("");
      // The end is known when the earliest complete stop string is; what comes later cannot take it
      // back.
      const ends = stops.map((one) => whole.indexOf(one)).filter((place) => place >= 0);
      expect(result.stopped).toBe(ends.length > 0);
      expect(whole.startsWith(result.text)).toBe(true);
      expect(result.shown.join("")).toBe(result.text);
      for (const one of stops) expect(result.text).not.toContain(one);
    }),
    { seed: 3 },
  );
});
