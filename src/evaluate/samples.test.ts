import { beforeAll, describe, expect, test } from "vitest";
import { logitsOf, sequenceBatch } from "../../test/helpers/logits.ts";
import { temporaryFolder } from "../../test/helpers/runs.ts";
import { example, tinyConfiguration, tinyModel } from "../../test/helpers/tiny.ts";
import { writeByteTokenizer } from "../data/tokens/byte-tokenizer.ts";
import { loadTokenizer } from "../data/tokens/load-tokenizer.ts";
import { float64Engine } from "../engine/float64.ts";
import { defaultGenerateOptions, type Generation, generate } from "../generate/generate.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { distinctPrompts } from "../train/samples.ts";
import { defaultSampleOptions, distinct, measureSamples } from "./samples.ts";

const engine = float64Engine();
let policy: LanguageModel;
let reference: LanguageModel;
const examples = [example([72, 105], [33], [46]), example([72, 105], [46], [33]), example([79, 104, 58], [32], [33])];
const options = { ...defaultSampleOptions, samples: 3, maxNewTokens: 12, topP: 0.5, temperature: 0.7, seed: 4 };
const silent = () => ({ progress() {} });

beforeAll(() => {
  const configuration = tinyConfiguration({ vocab_size: 257, eos_token_id: 256 });
  policy = tinyModel(engine, configuration, 1);
  reference = tinyModel(engine, configuration, 2, policy);
});

async function byteTokenizer() {
  const folder = await temporaryFolder();
  await writeByteTokenizer(folder);
  return loadTokenizer(folder);
}

function logSoftmax(logits: readonly number[]): number[] {
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

/**
 * Entropy of the policy and KL(policy ‖ reference) at each token that was drawn, from the whole
 * sequence.
 */
async function direct(prompt: Int32Array, { tokens, end }: Generation) {
  const drawn = end === "end token" ? [...tokens, 256] : tokens;
  const batch = sequenceBatch([...prompt, ...drawn]);
  const [ours, theirs] = [await logitsOf(engine, policy, batch), await logitsOf(engine, reference, batch)];
  return drawn.map((_, index) => {
    const position = prompt.length - 1 + index;
    const [p, q] = [logSoftmax(ours[position]!), logSoftmax(theirs[position]!)];
    return {
      entropy: -p.reduce((sum, value) => sum + Math.exp(value) * value, 0),
      kl: p.reduce((sum, value, token) => sum + Math.exp(value) * (value - q[token]!), 0),
    };
  });
}

test("entropy and divergence are those of direct computation", async () => {
  const tokenizer = await byteTokenizer();
  const prompts = [examples[0]!.prompt, examples[2]!.prompt];
  const sampleAll = async () => {
    const answers: Generation[] = [];
    const settings = { ...defaultGenerateOptions, ...options };
    for await (const batch of generate(engine, policy, tokenizer, prompts, settings)) answers.push(...batch);
    return answers;
  };
  // The end token becomes as likely as a token that is drawn, so that some answers end by
  // themselves.
  const drawn = (await sampleAll())[0]!.tokens[2]!;
  const head = policy.parameters.get(policy.transformer.architecture.head)!;
  const { width } = policy.transformer.architecture;
  head.data.set(head.data.slice(drawn * width, (drawn + 1) * width), 256 * width);

  const metrics = (await measureSamples(engine, { policy, reference, tokenizer }, examples, options, silent))!;
  const answers = await sampleAll();
  const ended = answers.filter(({ end }) => end === "end token").length;
  expect(ended).toBeGreaterThan(0);
  expect(ended).toBeLessThan(6);
  const perAnswer = [];
  for (const answer of answers) perAnswer.push(await direct(prompts[answer.prompt]!, answer));
  const all = perAnswer.flat();
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  expect(metrics["samples/entropy"]).toBeCloseTo(sum(all.map(({ entropy }) => entropy)) / all.length, 9);
  expect(metrics["samples/seq_kl"]).toBeCloseTo(sum(all.map(({ kl }) => kl)) / answers.length, 9);
  expect(metrics).toMatchObject({
    "samples/tokens": all.length / 6,
    "samples/ended": ended / 6,
    "samples/prompts": 2,
  });
});

test("a policy that is its own reference has no divergence; without a reference there is none to tell", async () => {
  const tokenizer = await byteTokenizer();
  const itself = (await measureSamples(engine, { policy, reference: policy, tokenizer }, examples, options, silent))!;
  expect(itself["samples/seq_kl"]).toBe(0);
  const alone = (await measureSamples(engine, { policy, reference: undefined, tokenizer }, examples, options, silent))!;
  const { "samples/seq_kl": _, ...others } = itself;
  expect(alone).toEqual(others);
});

test("different prompts are counted once, up to a limit", () => {
  expect(distinctPrompts(examples, 5)).toEqual([examples[0]!.prompt, examples[2]!.prompt]);
  expect(distinctPrompts(examples, 1)).toEqual([examples[0]!.prompt]);
});

describe("distinct", () => {
  const answers = [[1, 2, 1, 2], [2, 1], [3], []];
  test.each([
    // 1 2 1 2 2 1 3
    [1, 3 / 7],
    // 12 21 12 | 21
    [2, 2 / 4],
    // 121 212
    [3, 1],
    [5, 0],
  ])("runs of %d", (length, share) => {
    expect(distinct(answers, length)).toBe(share);
  });
});
