/**
 * Writes every golden model, trained here for a step, in each form that open.py opens, with the
 * logits that it must find:
 *
 *     npx tsx save.ts OUT_DIR [NAME ...]
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { float64Engine } from "../../../src/engine/float64.ts";
import { onnxRuntimeEngine } from "../../../src/engine/native/onnx-runtime.ts";
import { loadLanguageModel } from "../../../src/storage/load-model.ts";
import { goldenModels, readGolden } from "../../helpers/golden.ts";
import { logitsOf, sequenceBatch } from "../../helpers/logits.ts";
import { saveTrained, savedForms } from "../../helpers/trained-models.ts";

const [out, ...names] = process.argv.slice(2);
if (out === undefined) throw new Error("name the folder to write to");
const engine = onnxRuntimeEngine({ threads: 1 });
const exact = float64Engine();
for (const name of names.length > 0 ? names : goldenModels) {
  const folder = join(out, name);
  await saveTrained(engine, name, folder);
  const [tokens] = readGolden(name).tokens;
  for (const form of savedForms) {
    const model = await loadLanguageModel(exact, join(folder, form));
    const logits = await logitsOf(exact, model, sequenceBatch(tokens!));
    await writeFile(join(folder, `${form}.json`), JSON.stringify({ tokens, logits }));
  }
  console.log(`${name}: saved`);
}
engine.dispose();
