/** The exit code of work that Ctrl-C ended. */
export const interrupted = 130;

/**
 * Runs `work` with a signal that the first Ctrl-C aborts; the second one ends the process.
 *
 * @param notice what the first one says
 */
export async function untilInterrupted<Result>(
  notice: string,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(interrupted);
    process.stderr.write(`\n${notice} (press Ctrl-C again to stop at once)\n`);
    controller.abort();
  };
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, interrupt);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
}
