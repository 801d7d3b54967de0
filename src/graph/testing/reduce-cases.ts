import { square } from "../ops/elementwise.ts";
import { expandLike, mean, sum } from "../ops/reduce.ts";
import { formatShape } from "../tensor.ts";
import { lengths, type OpCase } from "./op-case.ts";

export const reduceCases: OpCase[] = [
  ...[[0], [1], [2], [-1], [-3], [0, 2], [1, 2], [0, 1, 2], []].flatMap((axes) =>
    [false, true].map(
      (keepDimensions): OpCase => ({
        covers: ["sum"],
        title: `sum over [${axes}]${keepDimensions ? ", kept" : ""}`,
        inputs: { x: [2, 3, 2] },
        build: ({ x }) => square(sum(x!, axes, { keepDimensions })),
      }),
    ),
  ),
  {
    covers: ["sum"],
    title: "sum over a symbolic length",
    inputs: { x: ["n", 3] },
    build: ({ x }) => square(sum(x!, [0])),
    lengths,
  },
  { covers: ["mean"], title: "mean", inputs: { x: ["n", 4] }, build: ({ x }) => mean(square(x!)), lengths },
  ...(
    [
      [
        [1, 3],
        [2, 3],
      ],
      [
        [1, 1],
        [2, 3],
      ],
      [
        [2, 3],
        [2, 3],
      ],
      [[3], [2, 3]],
      [[], [2, 3]],
      [
        [1, 3],
        ["n", 3],
      ],
    ] as const
  ).map(
    ([x, like]): OpCase => ({
      covers: ["expandLike"],
      title: `expandLike ${formatShape(x)} to ${formatShape(like)}`,
      inputs: { x, like },
      build: ({ x, like }) => square(expandLike(x!, like!)),
      lengths,
    }),
  ),
];
