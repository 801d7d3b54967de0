import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { engines } from "../../test/helpers/engines.ts";
import type { FloatValue } from "../engine/engine.ts";
import { newLlama } from "../families/new-llama.ts";
import { architectureOf } from "../families/registry.ts";
import { byteConfiguration } from "../generate/testing/byte-model.ts";
import { Random } from "../random.ts";
import { initializeLanguageModel } from "./initialize.ts";

const [{ engine: exact }, { engine: native }] = engines;
const [seed, standardDeviation] = [5, 0.4];
/** An embedding of 143,360 numbers. */
const large = newLlama({ ...byteConfiguration, vocabularySize: 8960 });

test("a seed gives the weights that it always gave", async () => {
  const { parameters } = await initializeLanguageModel(native, architectureOf(byteConfiguration), {
    seed,
    standardDeviation,
  });
  const hash = createHash("sha256");
  for (const [name, { data }] of parameters) hash.update(name).update(Float32Array.from(data));
  // Recorded when all numbers of a model were drawn in one go.
  expect(hash.digest("hex")).toBe("62c28182a825698e7542fd01fa2b641074424cba25298618417ca6370f8e1d15");
});

test("what is drawn in pieces is one stream for each parameter", async () => {
  const { parameters } = await initializeLanguageModel(exact, architectureOf(large), { seed, standardDeviation });
  for (const [name, { data, shape }] of parameters) {
    const random = Random.from(seed, "initialize", name);
    const expected = Array.from(data, () => (shape.length === 1 ? 1 : standardDeviation * random.normal()));
    expect(Buffer.from(data.buffer).equals(Buffer.from(Float64Array.from(expected).buffer)), name).toBe(true);
  }
});

test("the process hears what happens while a large matrix is drawn", async () => {
  const drawn: number[] = [];
  let embedding: FloatValue["data"] = new Float64Array();
  let done = false;
  const watching = {
    ...exact,
    allocate(shape: readonly number[]) {
      const value = exact.allocate(shape);
      if (shape[0] === large.vocabularySize) embedding = value.data;
      return value;
    },
  };
  const listen = () => {
    if (done) return;
    drawn.push(embedding.findLastIndex((number) => number !== 0) + 1);
    setImmediate(listen);
  };
  const initialized = initializeLanguageModel(watching, architectureOf(large), { seed, standardDeviation });
  listen();
  await initialized;
  done = true;
  const within = new Set(drawn.filter((count) => count > 0 && count < embedding.length));
  expect([...within]).toEqual([65_536, 131_072]);
});
