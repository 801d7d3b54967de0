/** `npm run fuzz -- --cases 100000 --seed 7 --only parquet`: see `fuzz.ts`. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "2000" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    from: { type: "string", default: "0" },
    only: { type: "string" },
    keep: { type: "string", default: join(tmpdir(), "tokenwise-fuzz-failures") },
  },
});
const { cases, seed, from } = values;
const repeat = (number: number) =>
  `npm run fuzz -- --seed ${seed} --from ${number} --cases 1${values.only ? ` --only "${values.only}"` : ""}`;

console.log(`seed ${seed}, ${cases} cases from ${from} on`);
const start = Date.now();
const { read, refused, failures } = await fuzz({
  ...{ cases: Number(cases), seed: Number(seed), from: Number(from), only: values.only, keep: values.keep },
  onProgress: (done) => {
    if (done % 1000 === 0) console.log(`${done} cases, ${Math.round((Date.now() - start) / 1000)} s`);
  },
});
for (const { number, subject, problem, input } of failures)
  console.log(`\ncase ${number} (${subject}): ${problem}\n  input: ${input}\n  again: ${repeat(number)}`);
console.log(`\n${read} read, ${refused} refused, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
