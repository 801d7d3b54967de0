/** The exit code of a command whose reader has seen enough, as of a process that SIGPIPE ended. */
export const readerGone = 141;

let outputIsAll = false;

/**
 * Says that this command makes nothing but its output, so that it ends quietly as soon as nobody
 * reads that any more. All other commands go on: what belongs in files gets there, whatever becomes
 * of the terminal.
 */
export function endWithReader(): void {
  outputIsAll = true;
}

/**
 * From now on, output that cannot be written (a closed pipe or terminal, a full disk behind a
 * redirection) is no fault. A reader that comes back, as at a named pipe, gets what follows.
 */
export function outliveReaders(): void {
  process.stdout.on("error", () => {
    if (outputIsAll) process.exit(readerGone);
  });
  // Progress and messages are never all that a command makes.
  process.stderr.on("error", () => {});
}
