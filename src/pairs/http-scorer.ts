import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { counted } from "../words.ts";
import { areIdsOf, checkScore, excerpt, MisplacedScoresError, numbered, type Scorer } from "./scorer.ts";
import { publicScorerName, withoutSecrets } from "./secrets.ts";

/**
 * Bytes that an answer may have: what a score takes, with room for anything that is sent beside it.
 */
const baseBytes = 1 << 20;
const bytesPerItem = 1024;

/**
 * A scorer behind a URL: it is sent `{"items": [{"id", "prompt", "response"}, …]}` by POST and
 * answers `{"scores": [number, …]}`, and with it `"ids": [number, …]` if it likes. User and
 * password of the URL are sent as basic authentication. Nothing that may be secret in the URL is in
 * a message.
 *
 * @param options.timeout seconds that an answer may take
 */
export function httpScorer(name: string, { timeout }: { timeout: number }): Scorer {
  const { url, headers } = requestTo(name);
  const field = publicScorerName(name);
  // What fetch and the server say may hold the URL, and an error's cause is printed by some.
  const fail = (problem: string, Kind = UserError) =>
    new Kind(`the scorer ${withoutSecrets(problem, name)}`, { field });
  const ask = async (body: string, limit: number): Promise<string> => {
    try {
      const signal = AbortSignal.timeout(timeout * 1000);
      const response = await fetch(url, { method: "POST", headers, body, signal });
      const text = await readText(response, limit);
      if (text === undefined) throw fail(`answered more than ${limit} bytes, which no scores take`);
      if (response.ok) return text;
      throw fail(`answered with status ${response.status}: ${excerpt(text)}`);
    } catch (error) {
      if (error instanceof UserError) throw error;
      if (error instanceof Error && error.name === "TimeoutError") {
        throw fail(`did not answer within ${timeout} seconds`);
      }
      throw fail(`cannot be reached: ${reasonOf(error)}`);
    }
  };
  let asked = 0;
  return {
    async score(items) {
      if (items.length === 0) return [];
      const sent = numbered(items, asked);
      asked += items.length;
      const text = await ask(JSON.stringify({ items: sent }), baseBytes + items.length * bytesPerItem);
      const answer = answerIn(text);
      if (!answer) throw fail(`must answer {"scores": [number, …]}, not ${excerpt(text)}`);
      const { scores, ids } = answer;
      if (scores.length !== items.length)
        throw fail(`gave ${counted(scores.length, "score")} for ${counted(items.length, "answer")}`);
      if (ids !== undefined && !areIdsOf(sent, ids)) {
        throw fail(`gave back other ids than it was asked: ${quoted(ids)}`, MisplacedScoresError);
      }
      return scores.map((score) => checkScore(score, fail));
    },
    end: async () => {},
    dispose: async () => {},
  };
}

/** `fetch` refuses a URL with user and password, and says both. */
function requestTo(name: string): { url: string; headers: Record<string, string> } {
  const url = new URL(name);
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (url.username !== "" || url.password !== "") {
    const user = [url.username, url.password].map(decodeURIComponent).join(":");
    headers.authorization = `Basic ${Buffer.from(user).toString("base64")}`;
    url.username = "";
    url.password = "";
  }
  return { url: url.href, headers };
}

/**
 * The body of an answer; undefined if it is longer than `limit` bytes, and then the rest is not
 * read.
 */
async function readText(response: Response, limit: number): Promise<string | undefined> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    pieces.push(piece);
    bytes += piece.length;
    // Leaving the loop ends the connection.
    if (bytes > limit) return undefined;
  }
  return Buffer.concat(pieces).toString("utf8");
}

function answerIn(text: string): { scores: unknown[]; ids: unknown } | undefined {
  try {
    const value = JSON.parse(text) as { scores?: unknown; ids?: unknown } | null;
    return Array.isArray(value?.scores) ? { scores: value.scores, ids: value.ids } : undefined;
  } catch {
    return undefined;
  }
}

/** `fetch` hides what went wrong in the cause of its error. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const { message, code } = cause as { message?: string; code?: string };
  return message || code || String(cause);
}
