#!/usr/bin/env node
import { runCommandLine } from "./program.ts";
import { endIfTerminalClosed } from "./terminal/interruption.ts";
import { outliveReaders } from "./terminal/lost-output.ts";

outliveReaders();
process.exitCode = await runCommandLine(process.argv.slice(2));
endIfTerminalClosed();
