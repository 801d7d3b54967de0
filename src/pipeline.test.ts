import { join } from "node:path";
import { expect, test } from "vitest";
import { folderWithBase, recordingReporter, tinyRecipe } from "../test/helpers/runs.ts";
import { train } from "./pipeline.ts";
import { parseRecipe } from "./recipe/parse.ts";

test("a recipe with token weights: contrastive models, estimates and run, in one call that can be stopped", async () => {
  const { folder, base, data } = await folderWithBase();
  const weights = { from: "sft", training: { steps: 2 } };
  const settings = { model: base, data, objective: { name: "tis-dpo" }, weights, steps: 2 };
  const recipe = parseRecipe(tinyRecipe(folder, settings), "recipe.yaml");

  const checked = recordingReporter();
  expect(await train(recipe, { dryRun: true, reporter: checked.reporter })).toMatchObject({ status: "checked" });
  expect(checked.notes).toContain("the importance weights are not estimated yet");

  const controller = new AbortController();
  const heard = recordingReporter();
  const progress = () => controller.abort();
  const stopped = await train(recipe, { signal: controller.signal, reporter: { ...heard.reporter, progress } });
  expect(stopped).toEqual({ stage: "weigh", status: "stopped", step: 0, metrics: [] });

  const again = recordingReporter();
  const finished = await train(recipe, { reporter: again.reporter });
  expect(finished).toMatchObject({ stage: "train", status: "finished", step: 2, model: join(recipe.output, "model") });
  expect(again.notes).toContain(`training: ${recipe.output}`);

  // Finished stages are skipped when the run alone is replaced.
  const replaced = recordingReporter();
  expect(await train(recipe, { overwrite: true, reporter: replaced.reporter })).toMatchObject({ status: "finished" });
  expect(replaced.notes.filter((note) => note.includes("done before"))).toHaveLength(3);
});
