/**
 * `npm run test:kill -- 100 [seed]`: kills runs so many times, and fails if one does not end as if
 * it had been left alone.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { survive } from "./survival.ts";

const [kills = 100, seed = Date.now() % 1e6] = process.argv.slice(2).map(Number);
const folder = await mkdtemp(join(tmpdir(), "tokenwise-kill-"));
console.log(`${kills} kills, seed ${seed}`);
try {
  const { killed, finished } = await survive(kills, { folder, seed, report: console.log });
  console.log(`${killed} processes killed; all ${finished} runs ended with the same model, metrics and files`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
