import { expect, test } from "vitest";
import { publicScorerName, scorerTag, withoutSecrets } from "./secrets.ts";

test.each([
  ["http://host:80/score", "http://host/score"],
  ["https://user:pass@host:8443/a?b=token1&c=d#frag", "https://host:8443/a?b=…&c=…"],
  ["https://host/?barekey", "https://host/?…"],
  ["command:curl -s 'https://me:pw@host/x?key=1' -d @-", "command:curl -s 'https://host/x?key=…' -d @-"],
  ["command:sh score.sh", "command:sh score.sh"],
  ["vader", "vader"],
])("%s is shown as %s", (scorer, shown) => {
  expect(publicScorerName(scorer)).toBe(shown);
});

test("a scorer is told by its query, not by its user", () => {
  expect(scorerTag("http://a:b@host/x?model=1")).toBe(scorerTag("http://c:d@host/x?model=1"));
  expect(scorerTag("http://host/x?model=1")).not.toBe(scorerTag("http://host/x?model=2"));
  expect(scorerTag("http://host/x")).toMatch(/^[0-9a-f]{4}$/);
});

test("what others say loses the secrets, whole or in part, decoded or not", () => {
  const scorer = "http://user:p%40ssword@host/x?token=abcdef&n=1";
  expect(withoutSecrets("no abcdef, no p@ssword, no http://user:p%40ssword@host/x?token=abcdef&n=1", scorer)).toBe(
    "no …, no …, no http://host/x?token=…&n=…",
  );
});
