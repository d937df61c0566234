import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RESULT_FIELDS } from '@spillway/core';
import { openContext } from '../../packages/cli/src/context.ts';
import { EXIT } from '../../packages/cli/src/exit-codes.ts';
import { programOf } from '../../packages/cli/src/program.ts';
import { blocksOf, DOCUMENTS, namesIn, sectionOf, tableOf } from './documents.ts';

const { commands } = programOf(openContext({}));

test('the commands are those of the program', () => {
  const rows = tableOf(sectionOf('docs/cli.md', 'Commands'), 'command');
  const documented = rows.flatMap(([name = '']) => namesIn(name));
  assert.deepEqual(documented.toSorted(), commands.map((command) => command.name()).toSorted());
});

test('the exit codes and the fields of a condition are those of the code', () => {
  const codes = tableOf(sectionOf('docs/cli.md', 'Commands'), 'exit code').flatMap(([code = '']) => namesIn(code));
  assert.deepEqual(codes.map(Number), Object.values(EXIT));
  const fields = tableOf(sectionOf('docs/cli.md', 'Where'), 'field').map(([name = '', says]) => [
    namesIn(name)[0],
    says,
  ]);
  assert.deepEqual(fields, Object.entries(RESULT_FIELDS));
});

test('commands that documents name take the options that they are given', () => {
  let checked = 0;
  for (const document of DOCUMENTS) {
    for (const { at, text } of blocksOf(document).filter(({ language }) => language === 'bash')) {
      for (const [, name = '', rest = ''] of text.matchAll(/^npx spillway ([a-z]+)([^#\n]*)/gm)) {
        const command = commands.find((one) => one.name() === name);
        assert.ok(command !== undefined, `${at}: ${name}`);
        for (const [, option = ''] of rest.matchAll(/ (--[a-z-]+)/g)) {
          assert.ok(
            command.options.some(({ long }) => long === option),
            `${at}: ${name} ${option}`,
          );
          checked += 1;
        }
      }
    }
  }
  assert.ok(checked >= 10, `${checked} options`);
});
