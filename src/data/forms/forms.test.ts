import { describe, expect, test } from "vitest";
import { byteTokenizer } from "../../generate/testing/byte-model.ts";
import { tokenizedAsAnswers } from "./answers.ts";
import { columnsOfForms, type FormName, formNamed, forms } from "./index.ts";

describe.each(forms)("form $name", (form) => {
  test("is found by its name, and its records by columns of its own", () => {
    expect(formNamed(form.name)).toBe(form);
    expect(Object.keys(form.columns)).toEqual(expect.arrayContaining([...form.signs]));
    expect(form.signs.length).toBeGreaterThan(0);
  });

  test("a column means the same in every form", () => {
    expect(columnsOfForms()).toMatchObject(form.columns);
  });

  test("items are held out by prompts where they have them", () => {
    expect("promptKey" in form).toBe(form.hasPrompts);
  });
});

test("names are different", () => {
  expect(new Set<FormName>(forms.map(({ name }) => name)).size).toBe(forms.length);
});

describe("a form of a prompt with any number of answers, and a number for each", () => {
  const place = { file: "scored.jsonl", line: 1 };
  const items = [
    { prompt: "Q:", answers: ["a", "bc", "d"], scores: [1, 0.5, -2], place },
    { prompt: "", answers: ["e"], scores: [3], place },
  ];
  const form = tokenizedAsAnswers<(typeof items)[number]>(({ scores, ...item }, responses) => ({
    ...item,
    answers: item.answers.slice(0, 2 * responses),
    given: { score: scores.slice(0, 2 * responses).map((score) => Float64Array.of(score)) },
  }));

  test("asks for prompts and answers by columns", () => {
    const text = (text: string, continues: boolean) => ({ text, continues });
    expect(form.requests(items, 2)).toEqual([
      [text("Q:", false), text("", false)],
      [text("a", true), text("e", false)],
      [text("bc", true)],
      [text("d", true)],
    ]);
    expect(form.requests(items, 1)).toHaveLength(3);
  });

  test("makes examples with their constants", async () => {
    const { examples } = await form.tokenize(items, await byteTokenizer(), { responses: 2, maxLength: 20 });
    expect(examples.map(({ responses }) => responses.map(({ length }) => length))).toEqual([[2, 3, 2], [2]]);
    expect(examples[0]!.given!.score).toEqual([Float64Array.of(1), Float64Array.of(0.5), Float64Array.of(-2)]);
    expect(examples[1]!.given).toEqual({ score: [Float64Array.of(3)] });
  });
});
