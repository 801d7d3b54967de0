import { comparisonCases } from "./comparison-cases.ts";
import { elementwiseCases } from "./elementwise-cases.ts";
import { indexingCases } from "./indexing-cases.ts";
import { matmulCases } from "./matmul-cases.ts";
import type { OpCase } from "./op-case.ts";
import { reduceCases } from "./reduce-cases.ts";
import { shapeCases } from "./shape-cases.ts";
import { softmaxCases } from "./softmax-cases.ts";
import { sortingCases } from "./sorting-cases.ts";

/** Every constructor under `ops/` in every way of using it that has its own code. */
export const opCases: readonly OpCase[] = [
  ...elementwiseCases,
  ...comparisonCases,
  ...reduceCases,
  ...matmulCases,
  ...shapeCases,
  ...indexingCases,
  ...softmaxCases,
  ...sortingCases,
];
