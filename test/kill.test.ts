import { expect, test } from "vitest";
import { temporaryFolder } from "./helpers/runs.ts";
import { survive } from "./kill/survival.ts";

const kills = 10;

test("runs that are killed at any moment end with the same model, metrics and files", async () => {
  const { killed, finished } = await survive(kills, { folder: await temporaryFolder(), seed: 1 });
  expect(killed).toBe(kills);
  expect(finished).toBeGreaterThan(1);
}, 600_000);
