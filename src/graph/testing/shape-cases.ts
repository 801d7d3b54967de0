import { multiply, square } from "../ops/elementwise.ts";
import { columns, joinColumns, padColumns, reshape, swapPairs, transpose } from "../ops/shape.ts";
import { formatShape } from "../tensor.ts";
import { lengths, type OpCase } from "./op-case.ts";

export const shapeCases: OpCase[] = [
  ...(
    [
      [
        [2, 6],
        [3, 4],
      ],
      [[2, 6], [12]],
      [
        ["n", 6],
        ["n", 2, 3],
      ],
      [["n", 2, 3], ["n * 6"]],
      [[1, 1], []],
      [[], [1, 1]],
    ] as const
  ).map(
    ([from, to]): OpCase => ({
      covers: ["reshape"],
      title: `reshape ${formatShape(from)} to ${formatShape(to)}`,
      inputs: { x: from, weight: to },
      build: ({ x, weight }) => multiply(reshape(x!, to), weight!),
      lengths: lengths.map(({ n }) => ({ n, "n * 6": n * 6 })),
    }),
  ),
  ...[
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
  ].map(
    (order): OpCase => ({
      covers: ["transpose"],
      title: `transpose to [${order}]`,
      inputs: { x: ["n", 2, 4] },
      build: ({ x }) => square(transpose(x!, order)),
      lengths,
    }),
  ),
  ...(["halves", "interleaved"] as const).flatMap((layout) =>
    (
      [
        [[4], 4],
        [["n", 6], 6],
        [[2, 3, 2], 2],
        [["n", 2, 7], 4],
        [["n", 6], 2],
      ] as const
    ).map(
      ([shape, width]): OpCase => ({
        covers: ["swapPairs"],
        title: `swapPairs of ${formatShape(shape)}, ${width} columns in ${layout}`,
        inputs: { x: shape },
        build: ({ x }) => multiply(x!, square(swapPairs(x!, { width, layout }))),
        lengths,
      }),
    ),
  ),
  ...(
    [
      [["n", 6], 0, 2],
      [["n", 6], 2, 6],
      [["n", 6], 0, 6],
      [[2, 3, 4], 1, 3],
      [[5], 4, 5],
    ] as const
  ).map(
    ([shape, start, end]): OpCase => ({
      covers: ["columns"],
      title: `columns ${start} to ${end} of ${formatShape(shape)}`,
      inputs: { x: shape },
      build: ({ x }) => square(columns(x!, start, end)),
      lengths,
    }),
  ),
  ...(
    [
      [
        ["n", 3],
        ["n", 2],
      ],
      [
        [2, 3, 2],
        [2, 3, 1],
      ],
      [[4], [2]],
    ] as const
  ).map(
    ([x, y]): OpCase => ({
      covers: ["joinColumns"],
      title: `joinColumns of ${formatShape(x)}, ${formatShape(y)} and the first again`,
      inputs: { x, y },
      build: ({ x, y }) => square(joinColumns([x!, y!, multiply(x!, x!)])),
      lengths,
    }),
  ),
  ...(
    [
      [["n", 3], 2, 1],
      [["n", 3], 0, 0],
      [[2, 3, 2], 1, 0],
      [[2], 0, 3],
    ] as const
  ).map(
    ([shape, before, after]): OpCase => ({
      covers: ["padColumns"],
      title: `padColumns ${formatShape(shape)} by ${before} and ${after}`,
      inputs: { x: shape },
      build: ({ x }) => square(padColumns(x!, before, after)),
      lengths,
    }),
  ),
];
