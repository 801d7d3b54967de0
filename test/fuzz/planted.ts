/** Readers with faults of each kind, so that the driver can be seen to find them. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../src/errors.ts";
import type { Subject } from "./subjects.ts";

function planted(name: string, read: Subject["read"]): Subject {
  return { name, targets: ["input"], make: (folder) => writeFile(join(folder, "input"), "some text 1"), read };
}

export const plantedFaults: readonly Subject[] = [
  planted("another error", () => Promise.reject(new TypeError("undefined is not a function"))),
  planted("names no file", () => Promise.reject(new UserError("is wrong"))),
  planted("hangs", () => {
    for (;;);
  }),
  planted("ends its process", () => process.exit(7)),
  planted("fills the memory", async () => {
    const kept: object[] = [];
    for (;;) kept.push(Array.from({ length: 1e5 }, (_, index) => ({ index })));
  }),
  planted("loses records", () => Promise.resolve("1 of 2 records")),
  planted("writes a file", async (folder) => {
    await writeFile(join(folder, "written"), "");
    return undefined;
  }),
];
