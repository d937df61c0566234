/** npm passes a Ctrl-C on that the terminal has sent already; a person, or a supervisor, needs longer between two. */
const SAME_MS = 500;

/** The ways in which a person or a supervisor stops a process: the first asks, the second insists. */
export type StopSignals = {
  readonly onFirst: (name: NodeJS.Signals) => void;
  readonly onSecond: (name: NodeJS.Signals) => void;
};

/** Listens for signals that stop this process, until it is disposed of. */
export function onStopSignals(names: readonly NodeJS.Signals[], { onFirst, onSecond }: StopSignals): Disposable {
  let firstAtMs: number | null = null;
  const onSignal = (name: NodeJS.Signals): void => {
    if (firstAtMs === null) {
      firstAtMs = performance.now();
      onFirst(name);
    } else if (performance.now() - firstAtMs > SAME_MS) {
      onSecond(name);
    }
  };
  for (const name of names) process.on(name, onSignal);
  return {
    [Symbol.dispose]: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
