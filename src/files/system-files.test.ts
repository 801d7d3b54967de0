import { expect, test } from "vitest";
import { isSystemFile } from "./system-files.ts";

test.each([".DS_Store", "Thumbs.db", "desktop.ini", "Desktop.ini", "._model.safetensors", ".directory", "lost+found"])(
  "%s counts as nothing",
  (name) => expect(isSystemFile(name)).toBe(true),
);

test.each(["recipe.yaml", ".hidden", "DS_Store", "thumbs.db.jsonl", "_model", ".nfs"])("%s counts", (name) =>
  expect(isSystemFile(name)).toBe(false),
);
