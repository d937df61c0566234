import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ESCALATION_REASONS } from '@spillway/core';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8').replaceAll(/ +/g, ' ');

test('the README lists every reason of an escalation, in the words of the code', () => {
  for (const { reason, meaning } of ESCALATION_REASONS)
    assert.ok(readme.includes(`| \`${reason}\` | ${meaning} |`), reason);
});

test('the README names files that are there', () => {
  for (const [, path = ''] of readme.matchAll(/`((?:packages|services|test)\/[\w./-]+\.ts)`/g)) {
    assert.doesNotThrow(() => readFileSync(new URL(`../../${path}`, import.meta.url)), path);
  }
});
