import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import { newLlama } from "../src/families/new-llama.ts";
import { randomLengths, writeRandomBatch } from "./batch.ts";
import { runBench } from "./child.ts";
import { saveRandomModel } from "./random-model.ts";
import { markdownTable } from "./report.ts";

/** What grows. */
interface Point {
  pairs: number;
  layers: number;
  vocabulary: number;
}

interface Shape {
  /** The point that each curve goes through. */
  base: Point;
  width: number;
  heads: number;
  feedForwardWidth: number;
  /** Tokens of a prompt and of an answer, on average. */
  length: number;
}

interface Figures {
  /** Of the fastest step: other work on the machine only adds. */
  seconds: number;
  peakMiB: number;
  /** The peak without weights, gradients, AdamW's two moments and the reference. */
  remainderMiB: number;
}

interface Options {
  modelShape: keyof typeof shapes;
  only?: keyof Point;
  steps: number;
  threads: number;
}

const shapes = {
  small: {
    base: { pairs: 16, layers: 6, vocabulary: 4096 },
    width: 256,
    heads: 8,
    feedForwardWidth: 688,
    length: 48,
  },
  "134m": {
    base: { pairs: 4, layers: 12, vocabulary: 32_768 },
    width: 768,
    heads: 12,
    feedForwardWidth: 2048,
    length: 106,
  },
} satisfies Record<string, Shape>;

const curves = {
  pairs: [4, 16, 64],
  layers: [6, 12, 24],
  vocabulary: [4096, 32_768, 131_072, 262_144],
} satisfies Record<keyof Point, number[]>;

/**
 * What still counts as linear: the exponent of a straight line measured on a machine that others
 * use too.
 */
const linearExponent = 1.1;

/**
 * `bench growth`: seconds and memory of a training step over pairs, layers and vocabulary, one at a
 * time.
 */
export function growthCommand(): Command {
  return new Command("growth")
    .description("measure how a training step grows with pairs, layers and vocabulary")
    .addOption(new Option("--model-shape <name>", "sizes").choices(Object.keys(shapes)).default("small"))
    .addOption(new Option("--only <dimension>", "what grows; all in turn, if absent").choices(Object.keys(curves)))
    .option("--steps <count>", "timed steps of each point, after one that is not; the fastest counts", Number, 5)
    .option("--threads <count>", "threads", Number, 2)
    .action(growth);
}

async function growth(options: Options): Promise<void> {
  const shape = shapes[options.modelShape];
  const measured = new Map<string, Figures>();
  const at = async (point: Point) => {
    const key = Object.values(point).join();
    if (!measured.has(key)) measured.set(key, await measure(shape, point, options));
    return measured.get(key)!;
  };
  for (const dimension of ["pairs", "layers", "vocabulary"] as const) {
    if (options.only && options.only !== dimension) continue;
    const curve: [number, Figures][] = [];
    for (const value of curves[dimension]) {
      console.error(`${dimension} ${value} …`);
      curve.push([value, await at({ ...shape.base, [dimension]: value })]);
    }
    console.log(`\n${formatCurve(dimension, shape.base, curve)}`);
  }
}

/** A step on a new random model, in a process of its own. */
async function measure(shape: Shape, point: Point, { steps, threads }: Options): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), "tokenwise-bench-"));
  const [model, batch] = [join(folder, "model"), join(folder, "batch.json")];
  const { width, heads, feedForwardWidth, length } = shape;
  const { pairs, layers, vocabulary: vocabularySize } = point;
  try {
    const sizes = { width, heads, feedForwardWidth, layers, vocabularySize, contextLength: 2048 };
    const parameters = await saveRandomModel(model, newLlama(sizes));
    writeRandomBatch(batch, randomLengths(pairs, length), vocabularySize);
    const { secondsFastest, peakRssMiB } = runBench<{ secondsFastest: number; peakRssMiB: number }>("step", {
      model,
      batch,
      steps,
      threads,
      lr: 1e-6,
      "no-cached": true,
    });
    const arrays = ["weights", "gradients", "mean", "variance", "reference"].length;
    const remainderMiB = Math.round(peakRssMiB - (arrays * parameters * 4) / 2 ** 20);
    return { seconds: secondsFastest, peakMiB: peakRssMiB, remainderMiB };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function formatCurve(dimension: keyof Point, base: Point, curve: readonly [number, Figures][]): string {
  const others = Object.entries(base).filter(([name]) => name !== dimension);
  const rows = curve.map(([value, figures], index) => {
    const before = curve[index - 1];
    const growths = (["seconds", "peakMiB", "remainderMiB"] as const).map((name) =>
      before ? (2 ** exponent(before, [value, figures], name)).toFixed(2) : "",
    );
    const { seconds, peakMiB, remainderMiB } = figures;
    return [value, seconds, growths[0], peakMiB, growths[1], remainderMiB, growths[2]].map(String);
  });
  const verdicts = (
    [
      ["seconds", "seconds"],
      ["memory", "peakMiB"],
      ["memory without model", "remainderMiB"],
    ] as const
  ).map(([name, figure]) => {
    const steepest = Math.max(...curve.slice(1).map((point, index) => exponent(curve[index]!, point, figure)));
    return `${name}: ${steepest <= linearExponent ? "yes" : "no"} (steepest exponent ${steepest.toFixed(2)})`;
  });
  return [
    `${dimension}, with ${others.map((entry) => entry.join(" ")).join(", ")}`,
    "",
    markdownTable(
      [dimension, "seconds", "per doubling", "peak MiB", "per doubling", "without model", "per doubling"],
      rows,
    ),
    "",
    `Linear or better? ${verdicts.join("; ")}`,
  ].join("\n");
}

/** The power of `x` that a figure grows with from one point to the next. */
function exponent([x, before]: [number, Figures], [y, after]: [number, Figures], figure: keyof Figures): number {
  return Math.log(after[figure] / before[figure]) / Math.log(y / x);
}
