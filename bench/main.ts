import { Command } from "commander";
import { gemmCommand } from "./gemm.ts";
import { generateCommand } from "./generate.ts";
import { growthCommand } from "./growth.ts";
import { loadCommand } from "./load.ts";
import { optimizerCommand } from "./optimizer.ts";
import { parityCommand } from "./parity.ts";
import { shapesCommand } from "./shapes.ts";
import { stepCommand } from "./step.ts";
import { suiteCommand } from "./suite.ts";
import { tokenizeCommand } from "./tokenize.ts";
import { weighCommand } from "./weigh.ts";

await new Command("bench")
  .description(
    "Measurements of tokenwise, with the same options and figures as its PyTorch peer. Without a command: suite.",
  )
  .addCommand(suiteCommand(), { isDefault: true })
  .addCommand(growthCommand())
  .addCommand(stepCommand())
  .addCommand(shapesCommand())
  .addCommand(parityCommand())
  .addCommand(weighCommand())
  .addCommand(generateCommand())
  .addCommand(tokenizeCommand())
  .addCommand(loadCommand())
  .addCommand(optimizerCommand())
  .addCommand(gemmCommand())
  .parseAsync();
