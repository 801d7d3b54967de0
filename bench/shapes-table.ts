import { markdownTable } from "./report.ts";
import type { Program, ShapeCase, ShapeFigures } from "./shape-cases.ts";

/** A line of the file that `bench shapes` keeps. */
export type ShapeResult = ShapeCase & Partial<ShapeFigures> & { readonly error?: string };

/** A table of what was measured: a row for each shape, training and way of the reference. */
export function shapesTable(results: readonly ShapeResult[]): string {
  const nameOf = ({ shape, training, reference }: ShapeResult) => [shape, training, reference].join(" ");
  const header = [
    ...["", "dpo, s a pair", "tdpo2", "TRL", "times", "TRL bf16", "times"],
    ...["peak MiB", "not mapped", "TRL MiB", "times", "TRL bf16 MiB", "times", "loss, TRL's differs by"],
  ];
  const rows = [...new Set(results.map(nameOf))].map((name) => {
    const group = results.filter((one) => nameOf(one) === name);
    const of = (program: Program, objective = "dpo") =>
      group.findLast(
        (one) => one.program === program && one.objective === objective && one.secondsPerPair !== undefined,
      );
    const [ours, tdpo2, float32, bf16] = [of("tokenwise"), of("tokenwise", "tdpo2"), of("trl-float32"), of("trl-bf16")];
    const anonymous = (one: ShapeResult | undefined) => one?.peakAnonymousMiB ?? one?.peakRssMiB;
    return [
      name,
      ...[ours?.secondsPerPair, tdpo2?.secondsPerPair].map(number),
      ...[float32, bf16].flatMap((peer) => [
        number(peer?.secondsPerPair),
        times(peer?.secondsPerPair, ours?.secondsPerPair),
      ]),
      ...[ours?.peakRssMiB, ours?.peakAnonymousMiB].map(number),
      ...[float32, bf16].flatMap((peer) => [number(anonymous(peer)), times(anonymous(peer), anonymous(ours))]),
      ours?.loss === undefined ? "" : `${ours.loss.toFixed(4)}, ${difference(ours.loss, float32?.loss)}`,
    ];
  });
  return markdownTable(header, rows);
}

function number(value: number | undefined): string {
  return value === undefined ? "" : String(value >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
}

function times(theirs: number | undefined, ours: number | undefined): string {
  return theirs === undefined || ours === undefined ? "" : (theirs / ours).toFixed(2);
}

function difference(ours: number, theirs: number | undefined): string {
  return theirs === undefined ? "–" : Math.abs(ours - theirs).toExponential(0);
}
