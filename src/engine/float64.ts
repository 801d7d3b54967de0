import { interpret } from "../graph/interpreter.ts";
import { elementCount } from "../graph/tensor.ts";
import { checkOutput, type Engine, type FloatValue } from "./engine.ts";
import { hostMemory } from "./host-memory.ts";

/**
 * An engine on the float64 interpreter: slow and exact, the oracle of the other one and the home of
 * short vectors.
 */
export function float64Engine(): Engine {
  const zeros = (shape: readonly number[]) => ({ shape: [...shape], data: new Float64Array(elementCount(shape)) });
  return {
    ...hostMemory,
    precision: "float64",
    compile: (program) => ({
      program,
      async run(inputs, outputs = {}) {
        const results = interpret(program, inputs) as Record<string, FloatValue>;
        return Object.fromEntries(
          Object.entries(results).map(([name, { shape, data }]) => {
            const given = outputs[name];
            if (given) checkOutput(program, name, shape, given);
            const target = given?.data ?? new Float64Array(data.length);
            target.set(data);
            return [name, { shape, data: target }];
          }),
        );
      },
      dispose() {},
    }),
    allocate: zeros,
    zeros,
    release() {},
    allocatedBytes: 0,
    dispose() {},
  };
}
