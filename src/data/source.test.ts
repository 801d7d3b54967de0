import { expect, test } from "vitest";
import type { TokenizedExample } from "./example.ts";
import { epochOrder } from "./order.ts";
import { shuffledExamples } from "./source.ts";

const examples = Array.from({ length: 5 }, (_, index) => ({ prompt: Int32Array.of(index) }) as TokenizedExample);
const numbers = (taken: readonly TokenizedExample[]) => taken.map(({ prompt }) => prompt[0]);

test("batches run through epochs, and a source goes on from where another stopped", async () => {
  const source = shuffledExamples(examples, 3, { epoch: 0, index: 0 });
  const first = await source.next(4);
  const second = await source.next(4);
  const order = [...epochOrder(5, 3, 0), ...epochOrder(5, 3, 1)];
  expect([...numbers(first.examples), ...numbers(second.examples)]).toEqual(order.slice(0, 8));
  expect([first.position, second.position]).toEqual([
    { epoch: 0, index: 4 },
    { epoch: 1, index: 3 },
  ]);
  const later = shuffledExamples(examples, 3, first.position);
  expect(await later.next(4)).toEqual(second);
  expect(await later.next(0)).toEqual({ examples: [], position: second.position });
});
