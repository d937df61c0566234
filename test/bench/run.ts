import type { Figure } from './figure.ts';

/** What whoever starts the benches asks for. */
export type Run = {
  /** How often each figure is measured, in turn with its reference. */
  readonly rounds: number;
  /** Fewer documents: to see that a row works, not what its figure is. */
  readonly isQuick: boolean;
  /** What stands for "very many" documents. */
  readonly large: number;
  /** How many times faster than real ones the GPU-like servers run. */
  readonly speed: number;
  /** Says how far it is, on the standard error output. */
  readonly tell: (line: string) => void;
};

/** Measures some lines of the table. */
export type Measure = (run: Run) => Promise<Figure[]>;

/**
 * Measures several things once a round, in turn: each is first, second and last about equally often, as a machine gets
 * slower or faster while it runs.
 */
export async function interleave<Name extends string>(
  run: Run,
  measures: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(measures) as Name[];
  const found = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < run.rounds; round += 1) {
    for (let place = 0; place < names.length; place += 1) {
      const name = names[(round + place) % names.length];
      if (name === undefined) continue;
      const value = await measures[name]();
      found[name].push(value);
      run.tell(`round ${round + 1} of ${run.rounds}: ${name} ${value.toPrecision(4)}`);
    }
  }
  return found;
}

/** The choice for which a measure is highest: the best of what is searched, found before the rounds begin. */
export async function best(choices: readonly number[], measure: (choice: number) => Promise<number>): Promise<number> {
  let highest = { choice: choices[0] ?? 0, value: -Infinity };
  for (const choice of choices) {
    const value = await measure(choice);
    if (value > highest.value) highest = { choice, value };
  }
  return highest.choice;
}
