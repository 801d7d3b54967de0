import { Command } from "commander";
import { stepCommand } from "./step.ts";

await new Command("bench")
  .description("Measurements of tokenwise, with the same options and figures as its PyTorch peer.")
  .addCommand(stepCommand())
  .parseAsync();
