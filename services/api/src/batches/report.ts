import { reportOf } from '@spillway/core';
import type { Api } from '../api.ts';
import { describeBatch } from './show.ts';

/** What the tiers of a batch did so far, what it cost, and what the sequential wait cost. */
export async function showReport(api: Api, tenant: string, id: string) {
  const manifest = await api.records.ownBatch(tenant, id);
  const { status, model } = await describeBatch(api, manifest);
  const account = await api.accounts.read(api, manifest);
  return { object: 'batch.report' as const, id, status, model, ...reportOf(account) };
}
