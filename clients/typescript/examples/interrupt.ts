/** Ctrl-C in the examples. */

/** A signal that ends at the first Ctrl-C or SIGTERM; a second one ends the process at once. */
export function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => controller.abort(new Error(name)));
  }
  return controller.signal;
}

/**
 * Runs a program, and prints an error of it with exit code 1. After Ctrl-C it prints what `stopped` says,
 * and ends with code 130.
 */
export async function run(
  name: string,
  program: (signal: AbortSignal) => Promise<void>,
  stopped: () => string,
): Promise<void> {
  const signal = interrupted();
  try {
    await program(signal);
  } catch (error) {
    if (signal.aborted && error === signal.reason) {
      console.log(stopped());
      process.exitCode = 130;
      return;
    }
    console.error(`${name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
