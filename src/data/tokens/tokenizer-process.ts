/**
 * The tokenizer library in a process of its own. It is native code, and a definition or a text that
 * it cannot cope with (a pattern that backtracks without end, a broken table) ends its process
 * instead of raising an error.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";

/** The library refused, failed or took too long. */
export class TokenizerFailure extends Error {}

/**
 * The program of the process. Signals that end the main process reach this one too; it ends with
 * the channel.
 */
const program = `
  const { Tokenizer } = require(process.argv[1]);
  const tokenizers = new Map();
  const idsOf = (encoding) => Int32Array.from(encoding.getIds());
  process.on("message", async ({ number, tokenizer, definition, tokens, texts }) => {
    try {
      if (definition !== undefined) tokenizers.set(tokenizer, Tokenizer.fromString(definition));
      const known = tokenizers.get(tokenizer);
      let result;
      if (tokens) result = tokens.map((token) => known.tokenToId(token) ?? undefined);
      if (texts) result = (await known.encodeBatch(texts, { addSpecialTokens: false })).map(idsOf);
      process.send({ number, result });
    } catch (error) {
      process.send({ number, problem: error.message });
    }
  });
  process.on("disconnect", () => process.exit());
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
`;

export interface NumberedTokenizer {
  readonly number: number;
  readonly definition: string;
}

interface Answer {
  readonly number: number;
  readonly result?: unknown;
  readonly problem?: string;
}

interface Waiting {
  resolve(result: never): void;
  reject(error: Error): void;
}

/** The number of characters that are kept of the last lines of errors. */
const keptCharacters = 2000;

/** A training asks nothing for hours; the memory is its own then. */
const idleMilliseconds = 10_000;

/**
 * Starts at the first question, ends when nothing is asked for a while, and never keeps the main
 * process from ending.
 */
export class TokenizerProcess {
  /** Tokenizers by their definitions, in the order of their numbers. */
  readonly #numbers = new Map<string, number>();
  readonly #waiting = new Map<number, Waiting>();
  /** Tokenizers that the running process has built. */
  readonly #built = new Set<number>();
  #child: ChildProcess | undefined;
  #lastWords = "";
  #questions = 0;
  #idle: NodeJS.Timeout | undefined;

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** @returns the tokenizer of a definition, which is built when it is first asked */
  tokenizer(definition: string): NumberedTokenizer {
    const number = this.#numbers.get(definition) ?? this.#numbers.size;
    this.#numbers.set(definition, number);
    return { number, definition };
  }

  /**
   * Asks a tokenizer.
   *
   * @throws TokenizerFailure if the library refuses, ends, or takes longer than so many
   * milliseconds.
   */
  async ask<Result>(
    { number: tokenizer, definition: known }: NumberedTokenizer,
    question: object,
    milliseconds: number,
  ): Promise<Result> {
    const child = this.#start();
    const number = this.#questions++;
    const definition = this.#built.has(tokenizer) ? undefined : known;
    const timer = setTimeout(() => {
      this.#fail(`it takes longer than ${Math.round(milliseconds / 1000)} seconds`);
    }, milliseconds);
    try {
      return await new Promise<Result>((resolve, reject) => {
        this.#waiting.set(number, { resolve, reject });
        this.#keepAlive();
        child.send({ number, tokenizer, ...(definition !== undefined && { definition }), ...question }, (error) => {
          if (error) this.#fail(error.message);
        });
        this.#built.add(tokenizer);
      });
    } catch (error) {
      if (definition !== undefined) this.#built.delete(tokenizer);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(number);
      this.#keepAlive();
    }
  }

  #start(): ChildProcess {
    if (this.#child) return this.#child;
    const library = createRequire(import.meta.url).resolve("tokenizers");
    // What loads code into every Node process is not for this one.
    const { NODE_OPTIONS: _, ...env } = process.env;
    const child = spawn(process.execPath, ["-e", program, library], {
      env,
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      windowsHide: true,
    });
    this.#child = child;
    this.#lastWords = "";
    child.stderr!.on("data", (piece: Buffer) => {
      this.#lastWords = (this.#lastWords + piece.toString()).slice(-keptCharacters);
    });
    child.on("message", ({ number, result, problem }: Answer) => {
      const waiting = this.#waiting.get(number);
      if (problem === undefined) waiting?.resolve(result as never);
      else waiting?.reject(new TokenizerFailure(problem));
    });
    child.on("error", (error) => this.#fail(error.message, child));
    // After the last of what it wrote has come.
    child.on("close", () => this.#fail(reasonIn(this.#lastWords), child));
    return child;
  }

  /** All that waits has failed with the process. */
  #fail(reason: string, child = this.#child): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#built.clear();
    child?.kill("SIGKILL");
    for (const { reject } of this.#waiting.values()) reject(new TokenizerFailure(reason));
  }

  /** Only what is asked keeps the main process running. */
  #keepAlive(): void {
    const child = this.#child;
    if (!child) return;
    const asked = this.#waiting.size > 0;
    clearTimeout(this.#idle);
    if (!asked) this.#idle = setTimeout(() => this.#fail("it was idle"), idleMilliseconds).unref();
    const change = asked ? "ref" : "unref";
    child[change]();
    child.channel?.[change]();
    (child.stderr as unknown as { ref(): void; unref(): void })[change]();
  }
}

/** The sentence of a Rust panic, or the last line that was written. */
function reasonIn(words: string): string {
  const lines = words.split("\n").filter((line) => line.trim() !== "");
  const panic = lines.findIndex((line) => /panicked at/.test(line));
  const reason = panic >= 0 ? (lines[panic + 1] ?? lines[panic]) : lines.at(-1);
  return `the tokenizers library failed${reason === undefined ? "" : `: ${reason}`}`;
}
