import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { commandScorer } from "./command-scorer.ts";
import { httpScorer } from "./http-scorer.ts";
import { afinnScorer, vaderScorer } from "./lexicon-scorers.ts";
import type { Scorer } from "./scorer.ts";
import { publicScorerName } from "./secrets.ts";

const commandPrefix = "command:";

/**
 * Opens a scorer by its name: `afinn`, `vader`, `command:<shell command>`, or an http(s) URL.
 *
 * @param options.timeout seconds that a command or server may take for an answer
 */
export async function openScorer(name: string, options: { timeout: number }): Promise<Scorer> {
  if (name === "afinn") return afinnScorer();
  if (name === "vader") return vaderScorer();
  const command = name.startsWith(commandPrefix) ? name.slice(commandPrefix.length).trim() : "";
  if (command !== "") return commandScorer(command, options);
  if (/^https?:\/\//.test(name) && URL.canParse(name)) return httpScorer(name, options);
  throw new UserError(`${quoted(publicScorerName(name))} is no scorer`, {
    field: "scorer",
    hint: "use afinn, vader, command:<shell command>, or an http(s) URL",
  });
}
