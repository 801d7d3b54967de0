import { type Command, Option } from "commander";
import type { HeldOutOptions } from "../../evaluate/held-out.ts";
import { atLeast, columnOf } from "../terminal/option-values.ts";

/** The values of the options that `addPairOptions` adds. */
export type PairOptions = Omit<HeldOutOptions, "data">;

/** Adds what `evaluate` and `score` can be told about pairs: which, how they are read and cut. */
export function addPairOptions(command: Command): Command {
  return command
    .option("--examples <count>", "at most so many pairs", atLeast(1))
    .option(
      "--columns <name=column...>",
      "other names for prompt, chosen, rejected in the data",
      columnOf("prompt", "chosen", "rejected"),
    )
    .addOption(new Option("--on-bad-pair <what>", "stop at a bad record, or count it").choices(["error", "skip"]))
    .option("--max-length <tokens>", "of prompt and longer answer together", atLeast(2))
    .option("--max-prompt-length <tokens>", "what a prompt keeps at least when a pair must be cut", atLeast(1));
}
