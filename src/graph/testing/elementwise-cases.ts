import { erf, gelu, geluTanh, silu } from "../ops/activations.ts";
import {
  add,
  constant,
  divide,
  exp,
  log,
  multiply,
  negate,
  scale,
  sigmoid,
  softCap,
  softplus,
  sqrt,
  square,
  stopGradient,
  subtract,
  tanh,
  unbroadcast,
} from "../ops/elementwise.ts";
import { sum } from "../ops/reduce.ts";
import { formatShape, type Shape, type Tensor } from "../tensor.ts";
import { lengths, type OpCase } from "./op-case.ts";

const positive = [0.5, 2] as const;

const unary: OpCase[] = [
  { op: "negate", apply: negate },
  { op: "exp", apply: exp },
  { op: "log", apply: log, range: positive },
  { op: "sqrt", apply: sqrt, range: positive },
  { op: "sigmoid", apply: sigmoid, range: [-4, 4] as const },
  { op: "tanh", apply: tanh, range: [-2, 2] as const },
  { op: "softCap", apply: (x: Tensor) => softCap(x, 1.5), range: [-3, 3] as const },
  { op: "softplus", apply: softplus, range: [-4, 4] as const },
  { op: "silu", apply: silu, range: [-4, 4] as const },
  { op: "geluTanh", apply: geluTanh, range: [-1.5, 1.5] as const },
  { op: "erf", apply: erf },
  { op: "gelu", apply: gelu },
  { op: "square", apply: square },
].flatMap(({ op, apply, range = [-1.5, 1.5] }) => [
  { covers: [op], title: op, inputs: { x: [2, 3] }, build: ({ x }) => apply(x!), range },
  { covers: [op], title: `${op} of a scalar`, inputs: { x: [] }, build: ({ x }) => apply(x!), range },
  {
    covers: [op],
    title: `${op}, its operand used again`,
    inputs: { x: ["n", 2] },
    build: ({ x }) => multiply(apply(x!), x!),
    range,
    lengths,
  },
]);

const broadcasts: readonly (readonly [Shape, Shape])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [[3], [2, 3]],
  [
    [2, 3],
    [2, 1],
  ],
  [
    [1, 3],
    [2, 3],
  ],
  [
    [2, 1],
    [1, 3],
  ],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [
    [1, 1],
    [1, 1],
  ],
  [[1, 1], [3]],
  [[], [2, 3]],
  [[2, 3], []],
  [[], []],
  [
    ["n", 3],
    ["n", 1],
  ],
  [[3], ["n", 3]],
];

const binary: OpCase[] = Object.entries({ add, subtract, multiply, divide }).flatMap(([op, apply]) => [
  ...broadcasts.map(
    ([a, b]): OpCase => ({
      covers: [op],
      title: `${op} ${formatShape(a)} ${formatShape(b)}`,
      inputs: { a, b },
      build: ({ a, b }) => apply(a!, b!),
      range: positive,
      lengths,
    }),
  ),
  {
    covers: [op],
    title: `${op} of a tensor and itself`,
    inputs: { x: [2, 3] },
    build: ({ x }) => apply(x!, x!),
    range: positive,
  },
  {
    covers: [op, "sum"],
    title: `${op} of a tensor and its sum, both ways`,
    inputs: { x: [2, 3] },
    build: ({ x }) => {
      const total = sum(x!, [0], { keepDimensions: true });
      return multiply(apply(x!, total), apply(total, x!));
    },
    range: positive,
  },
]);

const otherElementwise: OpCase[] = [
  {
    covers: ["constant"],
    title: "constants, one of them twice",
    inputs: { x: [2, 3] },
    build: ({ x }) => add(multiply(x!, constant(2.5)), divide(constant(2.5), add(square(x!), constant(-0.5)))),
    range: [1, 2],
  },
  { covers: ["scale"], title: "scale", inputs: { x: [2, 3] }, build: ({ x }) => scale(x!, -0.25) },
  { covers: ["scale"], title: "scale by one", inputs: { x: [2, 3] }, build: ({ x }) => scale(x!, 1) },
  {
    covers: ["stopGradient"],
    title: "stopGradient",
    inputs: { x: [2, 3] },
    build: ({ x }) => multiply(x!, stopGradient(exp(x!))),
    stopsGradient: true,
  },
  ...(
    [
      [[2, 3], [3]],
      [
        [2, 3],
        [1, 3],
      ],
      [
        [2, 3],
        [2, 1],
      ],
      [[2, 3], []],
      [
        [4, 2, 3],
        [2, 1],
      ],
      [["n", 3], [3]],
    ] as const
  ).map(
    ([from, to]): OpCase => ({
      covers: ["unbroadcast"],
      title: `unbroadcast ${formatShape(from)} to ${formatShape(to)}`,
      inputs: { x: from },
      build: ({ x }) => square(unbroadcast(x!, to)),
      lengths,
    }),
  ),
];

export const elementwiseCases: OpCase[] = [...unary, ...binary, ...otherElementwise];
