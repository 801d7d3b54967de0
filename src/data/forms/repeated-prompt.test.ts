import { describe, expect, test } from "vitest";
import { withoutRepeatedPrompt } from "./repeated-prompt.ts";

describe("both answers repeat the prompt", () => {
  test("as their beginning", () => {
    expect(withoutRepeatedPrompt({ prompt: "The film", chosen: "The film is fine.", rejected: "The film" })).toEqual({
      prompt: "The film",
      chosen: " is fine.",
      rejected: "",
    });
  });

  const beginning = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant:";
  test.each([
    ["the whole beginning of a dialogue", beginning],
    ["the last question of a dialogue", " Why?\n"],
  ])("as %s", (_, prompt) => {
    const pair = {
      prompt,
      chosen: `${beginning} Because.`,
      rejected: `${beginning} Go.\n\nHuman: So?\n\nAssistant: x`,
    };
    expect(withoutRepeatedPrompt(pair)).toEqual({
      prompt: beginning,
      chosen: " Because.",
      rejected: " Go.\n\nHuman: So?\n\nAssistant: x",
    });
  });
});

test.each([
  ["only one answer", { prompt: "Q", chosen: "Q yes", rejected: "no" }],
  ["neither", { prompt: "Q", chosen: "yes", rejected: "no" }],
  ["an empty prompt", { prompt: "", chosen: "yes", rejected: "no" }],
  ["a blank prompt", { prompt: " ", chosen: " yes", rejected: " no" }],
  [
    "another question of the dialogue",
    { prompt: "How?", chosen: "\n\nHuman: Why?\n\nAssistant: a", rejected: "\n\nHuman: Why?\n\nAssistant: b" },
  ],
])("%s: not both", (_, pair) => {
  expect(withoutRepeatedPrompt(pair)).toBeUndefined();
});
