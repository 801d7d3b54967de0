import type { Reporter } from "../../report.ts";

/**
 * A reporter that says each note and warning once: the stages of one command read the same data.
 */
export function withoutRepeats(reporter: Reporter): Reporter {
  const said = new Set<string>();
  const once = (say: (message: string) => void) => (message: string) => {
    if (said.has(message)) return;
    said.add(message);
    say(message);
  };
  return { ...reporter, note: once(reporter.note), warn: once(reporter.warn) };
}
