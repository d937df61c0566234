import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ESCALATION_REASONS } from '../confidence/index.ts';
import { isUnjudged, showWarning } from './warning.ts';

test('every reason but a low confidence, those of every stage’s runs and an alarm says that a draft could not be judged', () => {
  const judged = ESCALATION_REASONS.filter(({ reason }) => !isUnjudged(reason)).map(({ reason }) => reason);
  assert.deepEqual(judged, ['low_confidence', 'shadow_run', 'sampled', 'promise_at_risk']);
});

test('a warning names the tier, the reasons with their counts, and what the server said', () => {
  const warning = { tier: 'drafter.small', cascade: 'invoices', stage: 1, drafts: 50, said: 'no' };
  assert.deepEqual(showWarning({ ...warning, reasons: { no_label: 20, draft_failed: 30 } }), {
    code: 'no_draft_judged',
    message:
      'None of the first 50 drafts of drafter.small could be judged (draft_failed 30, no_label 20): all of them were escalated.',
    tier: 'drafter.small',
    cascade: 'invoices',
    stage: 1,
    reasons: [
      { reason: 'draft_failed', count: 30 },
      { reason: 'no_label', count: 20 },
    ],
    said: 'no',
  });
});
