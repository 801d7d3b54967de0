/**
 * Makes the small data set of the first run: complaints of restaurant guests, each with a kind and a rude answer.
 * `waiter-pairs.jsonl` holds preference pairs, `waiter-texts.jsonl` both answers as plain text, so that the base model knows both.
 *
 *     npx tsx examples/make.ts
 */
import { writeFileSync } from "node:fs";
import { Random } from "../src/data/random.ts";

const things =
  "soup fish bread salad coffee tea cake rice steak pasta wine water chicken pie sauce juice omelette stew".split(" ");
const faults = "cold,too salty,burnt,stale,late,raw,sour,too sweet,dry,not what I ordered".split(",");
const openings = [
  "The {thing} is {fault}.",
  "Excuse me, my {thing} is {fault}.",
  "Why is the {thing} {fault}?",
  "This {thing} is {fault}!",
];
const kind = [
  " I am sorry about the {thing}. I will bring you a fresh one.",
  " Thank you for telling me. The {thing} is on the house.",
  " Please forgive us. May I offer you another {thing}?",
  " You are right, it should not be {fault}. Let me fix it at once.",
  " I apologise. The kitchen will make the {thing} again for you.",
];
const rude = [
  " So what? Nobody else complains about the {thing}.",
  " Then do not eat it. The {thing} is fine.",
  " That is your problem, not mine.",
  " The {thing} is {fault} because you are late. Pay and go.",
  " What do you expect? Cook your own {thing}.",
];

const random = Random.from(0, "waiter");
const pick = (list: readonly string[]) => list[random.integer(list.length)]!;
const pairs = things.flatMap((thing) =>
  faults.map((fault) => {
    const fill = (template: string) => template.replaceAll("{thing}", thing).replaceAll("{fault}", fault);
    const prompt = `Guest: ${fill(pick(openings))}\nWaiter:`;
    return { prompt, chosen: fill(pick(kind)), rejected: fill(pick(rude)) };
  }),
);
random.shuffle(pairs);
const texts = random.shuffle(
  pairs.flatMap(({ prompt, chosen, rejected }) => [{ text: prompt + chosen }, { text: prompt + rejected }]),
);
for (const [name, records] of Object.entries({ pairs, texts })) {
  const file = new URL(`waiter-${name}.jsonl`, import.meta.url);
  writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
}
