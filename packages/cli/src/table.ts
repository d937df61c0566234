import stringWidth from 'string-width';

/** A column: its title, and whether its cells are numbers, which stand at its right. */
export type Heading = { readonly title: string; readonly isNumber?: boolean };

const GAP = '  ';

/** Rows of cells as lines, a title above each column; a cell is as wide as a terminal shows it. */
export function tableOf(headings: readonly Heading[], rows: readonly (readonly string[])[]): string[] {
  const widths = headings.map(({ title }, at) =>
    Math.max(stringWidth(title), ...rows.map((row) => stringWidth(row[at] ?? ''))),
  );
  const lineOf = (cells: readonly string[]): string =>
    headings
      .map(({ isNumber = false }, at) => {
        const cell = cells[at] ?? '';
        const padding = ' '.repeat((widths[at] ?? 0) - stringWidth(cell));
        return isNumber ? `${padding}${cell}` : `${cell}${padding}`;
      })
      .join(GAP)
      .trimEnd();
  return [lineOf(headings.map(({ title }) => title)), ...rows.map(lineOf)];
}
