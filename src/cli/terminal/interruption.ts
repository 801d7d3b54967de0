/** The exit code of work that Ctrl-C ended. */
export const interrupted = 130;

/**
 * Milliseconds in which a signal that comes again is the same one: npx passes on a Ctrl-C that the
 * terminal sends as well.
 */
const echo = 500;

let terminalClosed = false;

/**
 * Ends the process by SIGHUP if its terminal was closed, once its work is done: at a plain exit
 * Node restores the settings of the terminal, and aborts where there is none any more.
 */
export function endIfTerminalClosed(): void {
  if (terminalClosed) process.kill(process.pid, "SIGHUP");
}

/**
 * Runs `work` with a signal that the first Ctrl-C or SIGTERM aborts; the second one ends the
 * process. When the terminal that the process writes to is closed (SIGHUP), that aborts the work as
 * well; a process without a terminal, as under nohup, goes on.
 *
 * @param notice what the first one says
 */
export async function untilInterrupted<Result>(
  notice: string,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  let first: number | undefined;
  const interrupt = () => {
    if (first !== undefined && performance.now() - first < echo) return;
    if (first !== undefined) process.exit(interrupted);
    first = performance.now();
    process.stderr.write(`\n${notice} (press Ctrl-C again to stop at once)\n`);
    controller.abort();
  };
  const hangUp = () => {
    if (!process.stdout.isTTY && !process.stderr.isTTY) return;
    terminalClosed = true;
    controller.abort();
  };
  const listeners = [
    ["SIGINT", interrupt],
    ["SIGTERM", interrupt],
    ["SIGHUP", hangUp],
  ] as const;
  for (const [signal, listener] of listeners) process.on(signal, listener);
  try {
    return await work(controller.signal);
  } finally {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  }
}
