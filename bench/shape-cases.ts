/** The cases of `bench shapes`, and how one is measured. */
import { benchFile, flags, runBench, runJson } from "./child.ts";
import type { PeerFigures, StepFigures } from "./measurements.ts";
import { publishedShapes } from "./published-shapes.ts";

export type Training = "lora-16" | "full";
export type ReferencePass = "in-step" | "cached";
export type Program = "tokenwise" | "trl-float32" | "trl-bf16";

export interface ShapeCase {
  /** All of the following, joined. */
  readonly name: string;
  readonly shape: string;
  readonly training: Training;
  readonly reference: ReferencePass;
  readonly objective: "dpo" | "tdpo2";
  readonly program: Program;
}

/** What a case was measured to take. */
export interface ShapeFigures {
  readonly secondsPerPair: number;
  /** Of each timed step. */
  readonly seconds: number | readonly number[];
  /** Of the first step. */
  readonly loss: number;
  readonly peakRssMiB: number;
  /** Without the pages of mapped files, where the system tells it. */
  readonly peakAnonymousMiB?: number;
  /** Versions of the peer. */
  readonly versions?: Readonly<Record<string, string>>;
}

/** Larger models train an adapter only. */
const largestFull = 410e6;

/** All cases, so that those which are compared follow each other on the same machine. */
export const shapeCases: readonly ShapeCase[] = Object.entries(publishedShapes).flatMap(([shape, { parameters }]) =>
  (parameters <= largestFull ? (["lora-16", "full"] as const) : (["lora-16"] as const)).flatMap((training) =>
    (["in-step", "cached"] as const).flatMap((reference) =>
      (
        [
          ["dpo", "tokenwise"],
          ["dpo", "trl-float32"],
          ["dpo", "trl-bf16"],
          ["tdpo2", "tokenwise"],
        ] as const
      ).map(([objective, program]) => {
        const name = [shape, training, reference, objective, program].join(" ");
        return { name, shape, training, reference, objective, program };
      }),
    ),
  ),
);

export interface CaseSubject {
  readonly model: string;
  /** Token ids of the model's vocabulary. */
  readonly batch: string;
  readonly pairs: number;
  readonly steps: number;
  readonly threads: number;
  readonly python: string | undefined;
}

/** Measures one case, in a process of its own. */
export function measureCase(
  { training, reference, objective, program }: ShapeCase,
  { model, batch, pairs, steps, threads, python }: CaseSubject,
): ShapeFigures {
  const common = { steps, threads, lr: 1e-6, lora: training === "lora-16" ? 16 : 0 };
  if (program === "tokenwise") {
    const way = reference === "cached" ? "ahead" : "no-cached";
    const figures = runBench<StepFigures>("step", { model, batch, objective, ...common, [way]: true });
    const { seconds, loss, peakRssMiB, peakAnonymousMiB } = figures;
    return {
      secondsPerPair: seconds / pairs,
      seconds,
      loss,
      peakRssMiB,
      ...(peakAnonymousMiB !== undefined && { peakAnonymousMiB }),
    };
  }
  const options = { ...common, bf16: program === "trl-bf16", precompute: reference === "cached" };
  const figures = runJson<PeerFigures>(python!, [benchFile("trl_peer.py"), model, batch, ...flags(options)]);
  const { secondsMedian, seconds, loss, peakRssMiB, peakAnonymousMiB, torch, transformers, trl } = figures;
  return {
    secondsPerPair: secondsMedian / pairs,
    seconds: seconds ?? secondsMedian,
    loss,
    peakRssMiB,
    ...(peakAnonymousMiB !== undefined && { peakAnonymousMiB }),
    versions: { torch: torch!, transformers: transformers!, trl: trl! },
  };
}
