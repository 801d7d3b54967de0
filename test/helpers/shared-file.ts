import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TestContext } from "vitest";

/** The path of a file beside the repository, or the end of this test. */
export function sharedFile(context: TestContext, path: string): string {
  const file = fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));
  if (!existsSync(file)) context.skip(`${path} is not here`);
  return file;
}
