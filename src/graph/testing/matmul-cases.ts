import { square } from "../ops/elementwise.ts";
import { accumulate, linear, matmul } from "../ops/matmul.ts";
import { formatShape, type Shape } from "../tensor.ts";
import { lengths, type OpCase } from "./op-case.ts";

const transpositions = [
  { transposeA: false, transposeB: false },
  { transposeA: true, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: true },
];

const matmuls: OpCase[] = transpositions.flatMap((options) => {
  const suffix = ["transposeA", "transposeB"].filter((key) => options[key as keyof typeof options]).join(" ");
  const a = (rows: number | string, inner: number) => (options.transposeA ? [inner, rows] : [rows, inner]);
  const b = (inner: number, columns: number) => (options.transposeB ? [columns, inner] : [inner, columns]);
  const batches: readonly (readonly [Shape, Shape])[] = [
    [[], []],
    [[3], [3]],
    [[3], []],
    [[], [3]],
    [[1], [3]],
    [[2, 1], [3]],
    [
      [2, 3],
      [2, 1],
    ],
    [
      ["n", 2],
      ["n", 1],
    ],
  ];
  const plain = { a: a("n", 4), b: b(4, 5) };
  const pluses: Record<string, Shape> = {
    matrix: ["n", 5],
    row: [5],
    "kept row": [1, 5],
    column: ["n", 1],
    scalar: [],
  };
  return [
    ...batches.map(
      ([batchA, batchB]): OpCase => ({
        covers: ["matmul"],
        title: `matmul ${formatShape(batchA)} ${formatShape(batchB)} ${suffix}`,
        inputs: { a: [...batchA, ...a(2, 4)], b: [...batchB, ...b(4, 3)] },
        build: ({ a, b }) => matmul(a!, b!, options),
        lengths,
      }),
    ),
    ...Object.entries(pluses).map(
      ([title, plus]): OpCase => ({
        covers: ["matmul"],
        title: `matmul plus a ${title} ${suffix}`,
        inputs: { ...plain, plus },
        build: ({ a, b, plus }) => matmul(a!, b!, { ...options, plus: plus! }),
        lengths,
      }),
    ),
    {
      covers: ["matmul"],
      title: `matmul of a matrix and itself ${suffix}`,
      inputs: { x: [3, 3] },
      build: ({ x }) => matmul(x!, x!, options),
    },
    {
      covers: ["accumulate"],
      title: `accumulate a product ${suffix}`,
      inputs: { ...plain, total: ["n", 5] },
      build: ({ a, b, total }) => accumulate(total!, matmul(a!, b!, options)),
      lengths,
    },
  ];
});

const otherProducts: OpCase[] = [
  {
    covers: ["accumulate"],
    title: "accumulate a product that has a bias",
    inputs: { a: [2, 4], b: [4, 3], bias: [3], total: [2, 3] },
    build: ({ a, b, bias, total }) => accumulate(total!, matmul(a!, b!, { plus: bias! })),
  },
  {
    covers: ["accumulate"],
    title: "accumulate a product to which a matrix was added",
    inputs: { a: [2, 4], b: [4, 3], plus: [2, 3], total: [2, 3] },
    build: ({ a, b, plus, total }) => accumulate(total!, matmul(a!, b!, { plus: plus! })),
  },
  {
    covers: ["accumulate"],
    title: "accumulate a batched product",
    inputs: { a: [2, 2, 4], b: [2, 4, 3], total: [2, 2, 3] },
    build: ({ a, b, total }) => accumulate(total!, matmul(a!, b!)),
  },
  {
    covers: ["accumulate"],
    title: "accumulate what is not a product",
    inputs: { x: [2, 3], total: [2, 3] },
    build: ({ x, total }) => accumulate(total!, square(x!)),
  },
  {
    covers: ["linear"],
    title: "linear",
    inputs: { x: ["n", 4], weight: [3, 4] },
    build: ({ x, weight }) => linear(x!, weight!),
    lengths,
  },
  {
    covers: ["linear"],
    title: "linear with a bias",
    inputs: { x: ["n", 4], weight: [3, 4], bias: [3] },
    build: ({ x, weight, bias }) => linear(x!, weight!, bias),
    lengths,
  },
];

export const matmulCases: OpCase[] = [...matmuls, ...otherProducts];
