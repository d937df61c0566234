import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/compose.ts';
import { anchorsOf, DOCUMENTS, namesIn, proseOf, readText, sectionOf, tableOf } from './documents.ts';

const exists = (path: string): boolean => existsSync(join(ROOT, path));

test('the README is short', () => {
  const lines = readText('README.md').trimEnd().split('\n').length;
  assert.ok(lines <= 200, `${lines} lines`);
});

test('every link within the repository leads to a file, and to a heading where it names one', () => {
  for (const document of DOCUMENTS) {
    const links = [...proseOf(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    for (const link of links.filter((one) => !/^https?:/.test(one))) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? document : normalize(join(dirname(document), path));
      assert.ok(exists(target), `${document}: ${link}`);
      if (anchor !== undefined) assert.ok(anchorsOf(target).has(anchor), `${document}: ${link}`);
    }
  }
});

/** What looks like a path from the root of the repository. */
const PATH = /^(packages|services|test|k8s|compose|docs)(\/[\w.-]+)*$/;

test('every path that a document names is there', () => {
  for (const document of DOCUMENTS) {
    const paths = namesIn(proseOf(document)).filter((name) => PATH.test(name) || /^[A-Z]\w+(\.md)?$/.test(name));
    for (const path of paths.filter((name) => PATH.test(name) || name.endsWith('.md'))) {
      // A file that is to be made, such as `packages/cli/src/<command>/main.ts`, has angle brackets and is no such path.
      assert.ok(exists(path), `${document}: ${path}`);
    }
  }
});

test('"Where is…" has one answer for each question, and all of them are there', () => {
  const rows = tableOf(sectionOf('docs/architecture.md', 'Where is…'), 'what');
  assert.ok(rows.length > 30);
  for (const [what = '', where = ''] of rows) {
    const names = namesIn(where);
    assert.ok(names.length > 0, what);
    const folder = dirname(names[0] ?? '');
    for (const name of names) assert.ok(exists(name) || exists(join(folder, name)), `${what}: ${name}`);
  }
});

test('the map of tests is the folders that there are', () => {
  const rows = tableOf(sectionOf('CONTRIBUTING.md', 'Where does a test go?'), 'folder');
  const named = rows.flatMap(([folder = '']) => namesIn(folder)).toSorted();
  const folders = readdirSync(join(ROOT, 'test')).filter((name) => statSync(join(ROOT, 'test', name)).isDirectory());
  assert.deepEqual(named, folders.map((name) => `test/${name}`).toSorted());
  for (const [folder = '', , runBy = ''] of rows) {
    const [path] = namesIn(folder);
    const [command] = namesIn(runBy);
    if (path !== undefined && command !== undefined) assert.equal(command, `npm run ${path.replace('/', ':')}`);
  }
});

/** Words that stood where the glossary has others now. */
const REPLACED =
  /\b(gates?|tries|feed|feeding|fed|unfed|in hand|hand(ed|s)? over|hand-over|witness|troubles?|desk|(?<!bull-)board|patience|pace|(un)?heard|max_tries|spillway\.both|both_tiers)\b/i;

/** The places where they stand. */
const replacedIn = (path: string): string[] =>
  readText(path)
    .split('\n')
    .flatMap((line, index) => {
      const word = REPLACED.exec(line)?.[0];
      return word === undefined ? [] : [`${path}:${index + 1} ${word}`];
    });

test('the documents use the words of the glossary', () => {
  // A changelog says what was before.
  assert.deepEqual(DOCUMENTS.filter((path) => path !== 'CHANGELOG.md').flatMap(replacedIn), []);
});

test('the code uses the words of the glossary: its sources, its Lua, its deployments', () => {
  const files = ['packages', 'services', 'k8s', 'compose'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /(?<!\.test)\.(ts|lua|ya?ml)$/.test(name) && !name.includes('node_modules'))
      // The words of the demo's documents are nobody's terms.
      .filter((name) => !name.startsWith('playground/src/documents'))
      .map((name) => join(folder, name)),
  );
  assert.ok(files.length > 300 && files.some((name) => name.endsWith('.lua')));
  assert.deepEqual(files.flatMap(replacedIn), []);
});
