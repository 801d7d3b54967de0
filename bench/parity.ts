import { Command } from "commander";
import { benchFile, flags, runBench, runJson } from "./child.ts";

/** The figures of `bench step` and of its PyTorch peer that must agree. */
interface StepFigures {
  loss: number;
  gradientNorm: number;
  sumLogRatio: number[];
  seqKlReferencePolicy: number[];
  tokensPerSecond: number;
  peakRssMiB: number;
}

interface OurFigures extends StepFigures {
  /** With the reference's hidden states cached, and with its pass in the step. */
  seconds: number;
  secondsWithReference: number;
  tokensPerSecondWithReference: number;
  /** Where the system tells it. */
  peakAnonymousMiB?: number;
}

interface PeerFigures extends StepFigures {
  secondsMedian: number;
}

interface Options {
  model: string;
  batch: string;
  peer: string;
  python: string;
  objectives: string[];
  steps: string;
  lr: string;
  threads: string;
  jitter: string;
  lora: string;
}

/**
 * `bench parity`: the same step here and in PyTorch, figures compared, speed and memory side by
 * side. Exits with 1 where they differ.
 */
export function parityCommand(): Command {
  return new Command("parity")
    .description("compare a training step with PyTorch: loss, gradient norm, log-ratios, KL, speed, memory")
    .requiredOption("--model <folder>", "float32 model folder")
    .requiredOption("--batch <file>", "JSON file with pairs of token ids")
    .option("--peer <file>", "the PyTorch script", benchFile("peer.py"))
    .option("--python <command>", "a Python with torch and numpy", "python3")
    .option("--objectives <name...>", "objectives to compare", ["dpo", "tdpo1", "tdpo2"])
    .option("--steps <count>", "timed steps", "1")
    .option("--lr <rate>", "AdamW's learning rate; 0 leaves the weights alone", "0")
    .option("--threads <count>", "threads of each", "2")
    .option("--jitter <number>", "how far the reference is from the policy; 0 with --lora", "0.01")
    .option("--lora <rank>", "train adapters of this rank instead of every weight", "0")
    .action(parity);
}

function parity(options: Options): void {
  let agrees = true;
  for (const objective of options.objectives) {
    const { model, batch, python, peer, steps, lr, threads, lora } = options;
    const jitter = Number(lora) > 0 ? "0" : options.jitter;
    const common = { objective, steps, lr, threads, jitter, lora };
    const ours = runBench<OurFigures>("step", { model, batch, ...common });
    const theirs = runJson<PeerFigures>(python, [peer, model, batch, ...flags(common)]);
    const checks = compare(ours, theirs);
    agrees &&= checks.every(({ fits }) => fits);
    console.log(objective);
    for (const { name, difference, limit, fits } of checks) {
      console.log(`  ${fits ? "agrees " : "DIFFERS"}  ${name.padEnd(22)} ${difference.toExponential(1)} of ${limit}`);
    }
    for (const [what, rate, seconds] of [
      ["reference pass in the step", ours.tokensPerSecondWithReference, ours.secondsWithReference],
      ["reference cached", ours.tokensPerSecond, ours.seconds],
    ] as const) {
      const times = (rate / theirs.tokensPerSecond).toFixed(2);
      console.log(
        `  speed    ${times} times the peer's tokens per second, ${what}: ${seconds} s against ${theirs.secondsMedian} s`,
      );
    }
    console.log(`  memory   ${(ours.peakRssMiB / theirs.peakRssMiB).toFixed(2)} of the peer's peak`);
    console.log(`           ${ours.peakRssMiB} MiB against ${theirs.peakRssMiB} MiB`);
    if (ours.peakAnonymousMiB !== undefined) {
      const share = (ours.peakAnonymousMiB / theirs.peakRssMiB).toFixed(3);
      console.log(`           ${share}, ${ours.peakAnonymousMiB} MiB, without the pages of mapped files`);
    }
  }
  if (!agrees) process.exitCode = 1;
}

function compare(ours: StepFigures, theirs: StepFigures) {
  const relative = (a: number, b: number) => (a === b ? 0 : Math.abs(a - b) / Math.abs(b));
  const worst = (a: number[], b: number[], error: (x: number, y: number) => number) =>
    Math.max(...a.map((x, index) => error(x, b[index]!)));
  return [
    { name: "loss", difference: relative(ours.loss, theirs.loss), limit: 1e-4 },
    { name: "gradient norm", difference: relative(ours.gradientNorm, theirs.gradientNorm), limit: 1e-4 },
    {
      name: "sequential KL",
      // In units of what is allowed: 5e-4 relative, and the peer's rounding, which shows where two
      // models are close.
      difference: worst(
        ours.seqKlReferencePolicy,
        theirs.seqKlReferencePolicy,
        (a, b) => Math.abs(a - b) / (1e-5 + 5e-4 * Math.abs(b)),
      ),
      limit: 1,
    },
    {
      name: "log-ratios",
      // In units of what is allowed: 1e-4 absolute and 1e-3 relative.
      difference: worst(ours.sumLogRatio, theirs.sumLogRatio, (a, b) => Math.abs(a - b) / (1e-4 + 1e-3 * Math.abs(b))),
      limit: 1,
    },
  ].map((check) => ({ ...check, fits: check.difference <= check.limit }));
}
