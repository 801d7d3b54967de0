import { type Answered, tokenizeAnswers } from "../tokenize.ts";
import { isContinuation } from "../tokens/boundaries.ts";
import type { TextRequest } from "../tokens/tokenizer.ts";
import type { Form } from "./form.ts";

/**
 * The common part of forms of a prompt with answers: their items are tokenized alike.
 *
 * @param answersOf the texts of an item, as many answers as asked for if it has them
 */
export function tokenizedAsAnswers<Item>(
  answersOf: (item: Item, responses: number) => Answered,
): Pick<Form<Item>, "requests" | "tokenize"> {
  return {
    requests(items, responses) {
      const texts = items.map((item) => answersOf(item, responses));
      const most = texts.reduce((most, { answers }) => Math.max(most, answers.length), 0);
      return [
        texts.map(({ prompt }) => ({ text: prompt, continues: false })),
        ...Array.from({ length: most }, (_, index) =>
          texts.flatMap(({ prompt, answers }): TextRequest[] =>
            index < answers.length ? [{ text: answers[index]!, continues: isContinuation(prompt) }] : [],
          ),
        ),
      ];
    },
    tokenize: (items, tokenizer, { responses, ...options }) =>
      tokenizeAnswers(items, tokenizer, options, (item) => answersOf(item, responses)),
  };
}
