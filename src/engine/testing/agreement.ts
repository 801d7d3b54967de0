import { describe, expect, test } from "vitest";
import { gradients } from "../../graph/gradient.ts";
import { interpret } from "../../graph/interpreter.ts";
import { silu } from "../../graph/ops/activations.ts";
import { add, multiply, scale } from "../../graph/ops/elementwise.ts";
import { linear } from "../../graph/ops/matmul.ts";
import { mean, sum } from "../../graph/ops/reduce.ts";
import { reshape, swapPairs, transpose } from "../../graph/ops/shape.ts";
import { softmax } from "../../graph/ops/softmax.ts";
import { defineProgram, type Program } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import { opCases } from "../../graph/testing/cases.ts";
import { wholeProgram } from "../../graph/testing/op-case.ts";
import { largestError, randomValues } from "../../graph/testing/values.ts";
import type { Engine } from "../engine.ts";

/** Tests that an engine in float32 computes what the interpreter computes in float64. */
export function testAgreement(engine: Engine): void {
  describe("result, gradient and gradient of the gradient equal the interpreter's", () => {
    test.each(opCases.map((opCase) => [opCase.title, opCase] as const))("%s", async (_, opCase) => {
      const program = wholeProgram(opCase);
      const executable = engine.compile(program);
      for (const lengths of opCase.lengths ?? [{}]) {
        const values = randomValues(Object.fromEntries(program.inputs), { ...opCase, lengths });
        const expected = interpret(program, values);
        const results = await executable.run(values);
        expect(Object.keys(results)).toEqual([...program.outputs.keys()]);
        for (const [name, result] of Object.entries(results)) {
          expect(result.shape).toEqual(expected[name]!.shape);
          expect({ name, error: largestError(result.data, expected[name]!.data) }).toEqual({
            name,
            error: expect.closeTo(0, 5),
          });
          engine.release(result);
        }
      }
      executable.dispose();
    });
  });

  test("programs large enough to be shared among threads, the same bits in every run", async () => {
    const program = layerProgram();
    const executable = engine.compile(program);
    const lengths = { n: 200 };
    const values = randomValues(Object.fromEntries(program.inputs), { lengths, range: [-0.5, 0.5] });
    const expected = interpret(program, values);
    const first = await executable.run(values);
    for (const [name, { data }] of Object.entries(first)) {
      expect(largestError(data, expected[name]!.data), name).toBeLessThan(2e-5);
    }
    for (let run = 0; run < 30; run++) {
      const again = await executable.run(values);
      const different = Object.keys(first).filter((name) => !sameBits(again[name]!.data, first[name]!.data));
      expect(different).toEqual([]);
      for (const value of Object.values(again)) engine.release(value);
    }
  });
}

/**
 * Attention and a gated layer with all their gradients: every kind of kernel, at sizes that threads
 * share.
 */
function layerProgram(): Program {
  const [width, heads] = [64, 4];
  const x = input(["n", width]);
  const weights = {
    query: input([width, width]),
    key: input([width, width]),
    gate: input([3 * width, width]),
    down: input([width, 3 * width]),
    bias: input([width]),
  };
  const split = (flat: typeof x) => transpose(reshape(flat, ["n", heads, width / heads]), [1, 0, 2]);
  const query = split(linear(x, weights.query, weights.bias));
  const key = split(linear(x, weights.key));
  const swapped = swapPairs(key, { width: width / heads, layout: "halves" });
  const scores = scale(sum(multiply(query, swapped), [-1], { keepDimensions: true }), 0.25);
  const mixed = reshape(transpose(multiply(softmax(scores), key), [1, 0, 2]), ["n", width]);
  const normed = multiply(mixed, mean(multiply(mixed, mixed)));
  const y = add(x, linear(silu(linear(normed, weights.gate)), weights.down, weights.bias));
  const dy = input(["n", width]);
  const sources = { x, ...weights };
  const derivatives = gradients([[y, dy]], Object.values(sources));
  const named = Object.keys(sources).map((name, index) => [`gradient of ${name}`, derivatives[index]!] as const);
  return defineProgram("layer", { ...sources, dy }, { y, ...Object.fromEntries(named) });
}

export function sameBits(a: Float32Array | Float64Array, b: Float32Array | Float64Array): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array | Float64Array) =>
    Buffer.from(buffer, byteOffset, byteLength);
  return bytes(a).equals(bytes(b));
}
