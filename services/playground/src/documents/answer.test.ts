import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCorrect, writeAnswer } from './answer.ts';
import type { Truth } from './generate.ts';

const truth: Truth = { type: 'payslip', currency: 'GBP', total: '10.15' };

test('the answer is compact JSON in a fixed order', () => {
  assert.equal(writeAnswer(truth), '{"type":"payslip","currency":"GBP","total":"10.15"}');
});

test('white space and the order of the fields do not matter', () => {
  assert.ok(isCorrect(' { "total": "10.15", "type": "payslip", "currency": "GBP" }\n', truth));
});

test('anything else does', () => {
  const wrong = [
    '',
    'null',
    '[]',
    '"payslip"',
    '{"type":"payslip","currency":"GBP","total":"10.15"',
    '{"type":"payslip","currency":"GBP"}',
    '{"type":"payslip","currency":"GBP","total":10.15}',
    '{"type":"payslip","currency":"GBP","total":"10.16"}',
    '{"type":"invoice","currency":"GBP","total":"10.15"}',
    '{"type":"payslip","currency":"EUR","total":"10.15"}',
    '{"type":"payslip","currency":"GBP","total":"10.15","note":""}',
  ];
  for (const answer of wrong) assert.equal(isCorrect(answer, truth), false, answer);
});
