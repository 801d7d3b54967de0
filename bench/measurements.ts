import { benchFile, flags, runBench, runJson, runScript } from "./child.ts";
import { rounded } from "./numbers.ts";
import { bytesPerParameter } from "./optimizer.ts";

/** A figure of ours with that of each peer that is there. */
export interface Measurement {
  name: string;
  unit: string;
  better: "less" | "more";
  tokenwise: number;
  pytorch?: number | undefined;
  /** TRL's trainer, in float32 and with autocast to bfloat16. */
  trl?: number | undefined;
  trlBfloat16?: number | undefined;
  javascript?: number | undefined;
  /** What shows that peers compute the same. */
  check?: { text: string; passed: boolean };
}

/** What is measured on. */
export interface Subject {
  model: string;
  batch: string;
  /** A folder with a tokenizer. */
  tokenizer: string;
  repeats: number;
  threads: number;
  /** The command of a Python with PyTorch. */
  python: string | undefined;
  /** The same where it has TRL. */
  trl: string | undefined;
}

export interface StepFigures {
  loss: number;
  gradientNorm: number;
  tokensComputed: number;
  seconds: number;
  secondsWithReference: number;
  peakRssMiB: number;
  /** Where the system tells it. */
  peakAnonymousMiB?: number;
}

export interface PeerFigures {
  loss: number;
  secondsMedian: number;
  seconds?: number[];
  peakRssMiB: number;
  peakAnonymousMiB?: number;
  torch?: string;
  transformers?: string;
  trl?: string;
}

/** So that losses are not those of equal models, and steps update weights. */
const step = { objective: "tdpo2", jitter: 0.01, lr: 1e-6 } as const;

/** A loss may be so far from a peer's, relatively. */
const lossTolerance = 1e-4;

/** A full fine-tuning step with TDPO2 and AdamW. */
export function measureStep({ model, batch, repeats, threads, python }: Subject): Measurement[] {
  const ours = runBench<StepFigures>("step", { model, batch, threads, steps: repeats, ...step });
  const options = flags({ threads, steps: repeats, ...step });
  const theirs = peer<PeerFigures>(python, "peer.py", [model, batch, ...options]);
  const check = theirs && lossCheck(ours.loss, theirs.loss);
  const seconds = { unit: "s", better: "less", pytorch: theirs?.secondsMedian } as const;
  return [
    { name: "step", ...seconds, tokenwise: ours.secondsWithReference, ...(check && { check }) },
    { name: "step, reference cached", ...seconds, tokenwise: ours.seconds },
    {
      name: "step, peak memory",
      unit: "MiB",
      better: "less",
      tokenwise: ours.peakRssMiB,
      pytorch: theirs?.peakRssMiB,
    },
  ];
}

/**
 * Training steps beside TRL, whose objective is DPO: all weights and an adapter, the reference in
 * the step and computed ahead.
 */
export function measureTrl({ model, batch, repeats, threads, trl }: Subject): Measurement[] {
  if (trl === undefined) return [];
  return [0, 16].flatMap((lora) => {
    const name = lora > 0 ? `DPO, LoRA of rank ${lora}` : "DPO, all weights";
    const common = { threads, steps: repeats, lr: step.lr, lora };
    const ways = [
      // A reference that differs, so that losses say something; an adapter differs by itself.
      { reference: "", ours: { "no-cached": true }, theirs: {}, jitter: lora > 0 ? 0 : step.jitter },
      { reference: ", reference cached", ours: { ahead: true }, theirs: { precompute: true }, jitter: 0 },
    ];
    return ways.flatMap(({ reference, ours: way, theirs, jitter }) => {
      const ours = runBench<StepFigures>("step", { model, batch, objective: "dpo", ...common, ...way, jitter });
      const [float32, bfloat16] = [false, true].map((bf16) =>
        runJson<PeerFigures>(trl, [
          benchFile("trl_peer.py"),
          model,
          batch,
          ...flags({ ...common, ...theirs, jitter, bf16 }),
        ]),
      ) as [PeerFigures, PeerFigures];
      const memory = (one: StepFigures | PeerFigures) => one.peakAnonymousMiB ?? one.peakRssMiB;
      const rows = [
        { what: "", unit: "s", ours: ours.seconds, of: (one: PeerFigures) => one.secondsMedian },
        { what: ", peak memory besides mapped files", unit: "MiB", ours: memory(ours), of: memory },
      ];
      return rows.map(({ what, unit, ours: tokenwise, of }, row) => ({
        name: name + reference + what,
        unit,
        better: "less" as const,
        tokenwise,
        trl: of(float32),
        trlBfloat16: of(bfloat16),
        ...(row === 0 && { check: lossCheck(ours.loss, float32.loss) }),
      }));
    });
  });
}

/** Log-probabilities of answers under two models. */
export function measureScoring({ model, batch, repeats, threads, python }: Subject): Measurement[] {
  const figures = runBench<{ pairsPerSecond: number; paddedPairsPerSecond: number; torchPairsPerSecond?: number }>(
    "weigh",
    { model, batch, repeats, threads, ...(python && { peer: benchFile("peer.py"), python }) },
  );
  const pairs = { unit: "pairs/s", better: "more" } as const;
  return [
    { name: "scoring", ...pairs, tokenwise: figures.pairsPerSecond, pytorch: figures.torchPairsPerSecond },
    { name: "scoring, padded as PyTorch is", ...pairs, tokenwise: figures.paddedPairsPerSecond },
  ];
}

/** Greedy generation of one sequence. */
export function measureGeneration({ model, repeats, threads, python }: Subject): Measurement[] {
  const ours = runBench<{ tokensPerSecond: number; promptTokens: number[]; newTokens: number[] }>("generate", {
    model,
    repeats,
    threads,
    "no-recompute": true,
  });
  const [prompt, count] = [JSON.stringify(ours.promptTokens), ours.newTokens.length];
  const options = flags({ repeats, threads, prompt, new: count });
  const theirs = peer<{ tokensPerSecond: number; tokens: number[] }>(python, "peer_parts.py", [
    "generate",
    model,
    ...options,
  ]);
  const same = theirs?.tokens.findIndex((token, index) => token !== ours.newTokens[index]);
  const agreed = same === -1 ? count : (same ?? 0);
  // Where two tokens are nearly as likely, rounding decides, and what follows differs.
  const check = theirs && { text: `${agreed} of ${count} tokens the same`, passed: agreed > 0 };
  return [
    {
      name: "generation, batch 1",
      unit: "tokens/s",
      better: "more",
      tokenwise: ours.tokensPerSecond,
      pytorch: theirs && rounded(theirs.tokensPerSecond),
      ...(check && { check }),
    },
  ];
}

/** Texts to token ids. */
export function measureTokenization({ tokenizer, repeats }: Subject): Measurement[] {
  const { tokensPerSecond } = runBench<{ tokensPerSecond: number }>("tokenize", { model: tokenizer, repeats });
  return [{ name: "tokenization", unit: "tokens/s", better: "more", tokenwise: Math.round(tokensPerSecond) }];
}

/** A model folder into memory. */
export function measureLoading({ model, repeats, threads, python }: Subject): Measurement[] {
  const ours = runBench<{
    seconds: number;
    weightsSeconds: number;
    megabytes: number;
    megabytesPerSecond: number;
  }>("load", { model, repeats, threads });
  const theirs = peerSeconds(python, "load", { model, repeats, threads });
  return [
    { name: "load, programs prepared", unit: "s", better: "less", tokenwise: ours.seconds },
    { name: "load, weights", unit: "s", better: "less", tokenwise: ours.weightsSeconds, pytorch: theirs },
    {
      name: "load, weights, rate",
      unit: "MB/s",
      better: "more",
      tokenwise: ours.megabytesPerSecond,
      pytorch: theirs && rounded(ours.megabytes / theirs),
    },
  ];
}

/** AdamW's update of all parameters. */
export function measureOptimizer({ model, repeats, threads, python }: Subject): Measurement[] {
  const ours = runBench<{ parameters: number; seconds: number; gigabytesPerSecond: number }>("optimizer", {
    model,
    repeats,
    threads,
  });
  const theirs = peerSeconds(python, "optimizer", { model, repeats, threads });
  const gigabytes = (ours.parameters * bytesPerParameter) / 1e9;
  return [
    { name: "AdamW's update", unit: "s", better: "less", tokenwise: ours.seconds, pytorch: theirs },
    {
      name: "AdamW's update, rate",
      unit: "GB/s",
      better: "more",
      tokenwise: ours.gigabytesPerSecond,
      pytorch: theirs && rounded(gigabytes / theirs),
    },
  ];
}

/** The step in jax-js, which runs in one thread, beside ours with one. */
export function measureJavaScript({ model, batch, repeats }: Subject): Measurement[] {
  const ours = runBench<StepFigures>("step", { model, batch, threads: 1, steps: repeats, ...step });
  const { jitter, lr } = step;
  const theirs = runScript<PeerFigures>("javascript-peer.ts", [model, batch, ...flags({ steps: repeats, jitter, lr })]);
  return [
    {
      name: "step of the small model, one thread",
      unit: "s",
      better: "less",
      tokenwise: ours.secondsWithReference,
      javascript: theirs.secondsMedian,
      check: lossCheck(ours.loss, theirs.loss),
    },
    {
      name: "its peak memory",
      unit: "MiB",
      better: "less",
      tokenwise: ours.peakRssMiB,
      javascript: theirs.peakRssMiB,
    },
  ];
}

function lossCheck(ours: number, theirs: number): { text: string; passed: boolean } {
  const difference = Math.abs(ours - theirs) / Math.abs(theirs);
  return { text: `loss differs by ${difference.toExponential(0)}`, passed: difference <= lossTolerance };
}

function peerSeconds(
  python: string | undefined,
  part: string,
  { model, ...options }: { model: string; repeats: number; threads: number },
): number | undefined {
  const figures = peer<{ seconds: number }>(python, "peer_parts.py", [part, model, ...flags(options)]);
  return figures && rounded(figures.seconds);
}

/** What a PyTorch script says; undefined without PyTorch. */
function peer<Figures>(python: string | undefined, script: string, args: readonly string[]): Figures | undefined {
  return python === undefined ? undefined : runJson<Figures>(python, [benchFile(script), ...args]);
}
