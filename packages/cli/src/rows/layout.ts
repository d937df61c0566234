import { RESULT_COLUMNS, resultCells, type ResultLine } from '@spillway/core';
import { answerCells, cellOf, type Cell, type Row } from './row.ts';

/** A row's parts: the columns of its input, and its result, or why there is none. */
export type Joined = {
  readonly id: string;
  readonly input: Row;
  readonly result: ResultLine | null;
  readonly problem: string | null;
};

/** In which column what stands. Input columns keep their names; what is added steps aside. */
export type Layout = { readonly columns: readonly string[]; readonly rowOf: (joined: Joined) => Row };

const ID = 'custom_id';

export function layoutOf(
  input: readonly string[],
  fields: readonly string[] | null,
  idColumn: string | null = null,
): Layout {
  const taken = new Set(input);
  const free = (name: string, prefix: string): string => {
    let shown = name;
    while (taken.has(shown)) shown = `${prefix}.${shown}`;
    taken.add(shown);
    return shown;
  };
  // Ids that are a column of this name already stay there.
  const isThere = idColumn === ID;
  const id = isThere ? ID : free(ID, 'spillway');
  const answers = (fields ?? ['answer']).map((name) => [name, free(name, 'answer')] as const);
  const results = RESULT_COLUMNS.map((name) => [name, free(name, 'spillway')] as const);
  const columns = [...(isThere ? [] : [id]), ...input, ...answers.map(([, to]) => to), ...results.map(([, to]) => to)];
  const rowOf = ({ id: customId, input: cells, result, problem }: Joined): Row => {
    const answer = result === null ? null : answerCells(result, fields);
    const decided = result === null ? null : resultCells(result);
    const said: Row = { ...decided, error: problem ?? decided?.error ?? answer?.problem ?? null };
    return Object.fromEntries<Cell>([
      ...input.map((name) => [name, cellOf(cells, name) ?? null] as const),
      [id, customId],
      ...answers.map(([name, to]) => [to, answer === null ? null : cellOf(answer.cells, name)] as const),
      ...results.map(([name, to]) => [to, cellOf(said, name) ?? null] as const),
    ]);
  };
  return { columns, rowOf };
}
