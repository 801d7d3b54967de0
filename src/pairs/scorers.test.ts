import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { UserError } from "../errors.ts";
import { openScorer } from "./open-scorer.ts";
import { MisplacedScoresError } from "./scorer.ts";

const items = ["good", "bad", "so-so"].map((response) => ({ prompt: "How is it?", response }));

async function scorerFor(name: string, timeout = 20) {
  const scorer = await openScorer(name, { timeout });
  onTestFinished(() => scorer.dispose());
  return scorer;
}

const scoresOf = async (name: string, responses: readonly string[]) =>
  (await scorerFor(name)).score(responses.map((response) => ({ prompt: "terrible", response })));

test("AFINN adds up words and entries of several words, and leaves the prompt aside", async () => {
  const texts = [
    "Good, GOOD film!",
    "not  good",
    "bad",
    "can’t stand it",
    "a well-developed film",
    "Once in a while",
    "",
  ];
  expect(await scoresOf("afinn", texts)).toEqual([6, -2, -3, -3, 2, 0, 0]);
});

test("VADER's compound score, with its rules", async () => {
  const [good, veryGood, notGood, none] = await scoresOf("vader", ["good", "VERY good!!!", "not good", "table"]);
  expect(good).toBe(0.4404);
  expect(veryGood).toBeGreaterThan(good!);
  expect(notGood).toBeLessThan(0);
  expect(none).toBe(0);
});

test.each(["nothing", "command:  ", "ftp://host/x", "http://", "AFINN"])("%j is no scorer", async (name) => {
  await expect(openScorer(name, { timeout: 1 })).rejects.toThrow(/is no scorer; use afinn, vader/);
});

/**
 * A command that runs a piece of JavaScript for each line: `line` is the text, `item` what it
 * holds, `count` counts from 1.
 */
function script(body: string, before = ""): string {
  const program = `${before};let count = 0;
    require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
      const item = JSON.parse(line); count++; ${body}
    });`;
  return `command:node -e ${JSON.stringify(program.replaceAll("\n", " "))}`;
}
const answer = "console.log(JSON.stringify({ score: item.response.length + count / 10 }))";

describe("a command", () => {
  test("answers line by line, over several calls of one process", async () => {
    const scorer = await scorerFor(script(answer));
    expect(await scorer.score(items)).toEqual([4.1, 3.2, 5.3]);
    expect(await scorer.score([])).toEqual([]);
    expect(await scorer.score([{ prompt: "", response: "line\nbreak “ü”" }])).toEqual([14.4]);
  });

  test.each([
    ["dies", script("if (count === 2) process.exit(3)"), /ended with exit code 3 after 0 of 3/],
    [
      "dies in the middle",
      script(`if (count === 3) process.exit(4); ${answer}`),
      /ended with exit code 4 after [012] of 3/,
    ],
    ["does not exist", "command:no-such-scorer-here 2>&-", /ended with exit code \d+ after 0 of 3/],
    ["hangs", script("if (count < 2) console.log('{\"score\":1}')"), /was silent for 1 seconds/],
    ["talks nonsense", script("console.log('hello')"), /answered hello; it must print one line/],
    ["gives no number", script('console.log(\'{"score":"high"}\')'), /gave no number as a score: "high"/],
    ["gives infinity", script("console.log('{\"score\":1e999}')"), /gave no number as a score: Infinity/],
    ["gives no score", script("console.log('{}')"), /answered \{\}; it must print one line/],
  ])("that %s is a clear error", async (name, command, message) => {
    // A busy machine takes seconds to start a process.
    const error = await (await scorerFor(command, name === "hangs" ? 1 : 60))
      .score(items)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).toMatch(message);
  });

  test("that says more than it was asked is a clear error", async () => {
    const scorer = await scorerFor(script(`${answer}; ${answer}`));
    await scorer.score(items);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await expect(scorer.score(items)).rejects.toThrow(/answered more lines than it was asked for/);
  });

  test.each([
    ["two lines each", script(`${answer}; ${answer}`)],
    ["a last word", script(answer, 'process.stdin.on("end", () => console.log("bye"))')],
    ["a last word without a line break", script(answer, 'process.stdin.on("end", () => process.stdout.write("bye"))')],
    ["lines without end", script(`${answer}; if (count === 3) setInterval(() => console.log("more"), 1)`)],
    ["a line without end", script(`${answer}; if (count === 3) setInterval(() => process.stdout.write("more"), 1)`)],
  ])("that answers %s is refused at the end", async (_name, command) => {
    const scorer = await scorerFor(command);
    await scorer.score(items);
    await expect(scorer.end()).rejects.toThrow(/answered more lines than it was asked for/);
    await expect(scorer.end()).rejects.toThrow(MisplacedScoresError);
  });

  test("that answers each once ends in peace, one that does not end as well", async () => {
    for (const before of ["", "setInterval(() => {}, 1000)"]) {
      const scorer = await scorerFor(script(answer, before));
      await scorer.score(items);
      await scorer.end();
    }
  });

  test("that floods its output does not fill the memory", async () => {
    const scorer = await scorerFor("command:yes", 1);
    const before = process.memoryUsage().rss;
    await expect(scorer.score(items)).rejects.toThrow(/answered y;/);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });

  test("may give back the ids, which are then checked", async () => {
    const echo = (id: string) => script(`console.log(JSON.stringify({ score: count, id: ${id} }))`);
    const scorer = await scorerFor(echo("item.id"));
    expect(await scorer.score(items)).toEqual([1, 2, 3]);
    expect(await scorer.score(items)).toEqual([4, 5, 6]);
    const other = await scorerFor(echo("item.id - 1"));
    await expect(other.score(items)).rejects.toThrow(/answered -1 where it was asked 0/);
  });

  test("whose command holds a token does not show it", async () => {
    const scorer = await scorerFor("command:echo no https://me:hidden@host/x?key=topsecret", 1);
    const { message } = (await scorer.score(items).catch((reason) => reason)) as Error;
    expect(message).toMatch(/answered no https:\/\/host\/x\?key=…/);
    expect(message).not.toMatch(/hidden|topsecret/);
  });

  test("ends with its scorer, also one that does not want to", async () => {
    const stubborn = script(answer, "setInterval(() => {}, 1000)");
    const scorer = await openScorer(stubborn, { timeout: 20 });
    await scorer.score(items);
    // It is waited for until nobody holds its output any more, so this would not end if the process
    // lived on.
    await scorer.dispose();
    await expect(scorer.score(items)).rejects.toThrow(/ended by SIGKILL after 0 of 3/);
  });
});

describe("a server", () => {
  async function serve(respond: (body: string, response: ServerResponse) => void): Promise<string> {
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      respond(`${request.method} ${request.headers["content-type"]} ${Buffer.concat(chunks)}`, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`;
  }

  test("gets all answers at once", async () => {
    let asked = "";
    const url = await serve((body, response) => {
      asked = body;
      response.end('{"scores": [3, -1.5, 0]}');
    });
    expect(await (await scorerFor(url)).score(items)).toEqual([3, -1.5, 0]);
    const numbered = items.map((item, id) => ({ id, ...item }));
    expect(asked).toBe(`POST application/json ${JSON.stringify({ items: numbered })}`);
  });

  test.each([
    ["too few scores", '{"scores": [1, 2]}', 200, /gave 2 scores for 3 answers/],
    ["too many scores", '{"scores": [1, 2, 3, 4]}', 200, /gave 4 scores for 3 answers/],
    ["one score", '{"scores": [1]}', 200, /gave 1 score for 3 answers/],
    ["no number", '{"scores": [1, null, 3]}', 200, /gave no number as a score: (null|Infinity)/],
    ["no scores", "null", 200, /must answer \{"scores": \[number, …\]\}, not null/],
    ["no JSON", "<html>", 200, /must answer .* not <html>/],
    ["an error", "too busy", 503, /answered with status 503: too busy/],
  ])("that gives %s is a clear error", async (_name, body, status, message) => {
    const url = await serve((_body, response) => response.writeHead(status).end(body));
    await expect((await scorerFor(url)).score(items)).rejects.toThrow(message);
  });

  test("may give back the ids, which are then checked", async () => {
    let ids: unknown = [0, 1, 2];
    const url = await serve((_body, response) => response.end(JSON.stringify({ scores: [1, 2, 3], ids })));
    const scorer = await scorerFor(url);
    expect(await scorer.score(items)).toEqual([1, 2, 3]);
    ids = [3, 5, 4];
    await expect(scorer.score(items)).rejects.toThrow(/gave back other ids than it was asked: \[3,5,4\]/);
    ids = "none";
    await expect(scorer.score(items)).rejects.toThrow(MisplacedScoresError);
  });

  test("that answers without end is refused as soon as no scores are so long", async () => {
    const block = Buffer.alloc(1 << 16, 0x20);
    const url = await serve((_body, response) => {
      const more = () => {
        while (!response.destroyed && response.write(block));
        response.once("drain", more);
      };
      more();
    });
    const start = performance.now();
    await expect((await scorerFor(url)).score(items)).rejects.toThrow(/answered more than 1051648 bytes/);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test("is given user and password, and no message holds them or its query", async () => {
    let authorization: string | undefined;
    const url = await serve((_body, response) => {
      authorization = response.req.headers.authorization;
      response.writeHead(401).end(`no ${response.req.url}, p@ss`);
    });
    const secret = url.replace("http://", "http://user:p%40ss@").concat("?token=topsecret");
    const messages: string[] = [];
    for (const name of [secret, secret.replace(/:\d+/, ":9")]) {
      await (await scorerFor(name)).score(items).catch((error: Error) => messages.push(error.stack!));
    }
    expect(authorization).toBe(`Basic ${Buffer.from("user:p@ss").toString("base64")}`);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toMatch(/answered with status 401: no \/score\?token=…/);
    expect(messages.join()).not.toMatch(/topsecret|p@ss|p%40ss|user/);
  });

  test("that hangs or is not there is a clear error", async () => {
    const url = await serve(() => {});
    await expect((await scorerFor(url, 0.2)).score(items)).rejects.toThrow(/did not answer within 0.2 seconds/);
    const nobody = url.replace(/:\d+/, ":9");
    await expect((await scorerFor(nobody)).score(items)).rejects.toThrow(/cannot be reached: /);
  });
});
