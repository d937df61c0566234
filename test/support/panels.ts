import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './compose.ts';
import type { Prometheus } from './prometheus.ts';

/** A query of a panel of the dashboard, and how its lines are named. */
export type PanelQuery = { readonly title: string; readonly expr: string; readonly legendFormat: string };

type Dashboard = {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly Omit<PanelQuery, 'title'>[] }[];
};

export async function readPanels(): Promise<PanelQuery[]> {
  const text = await readFile(join(ROOT, 'k8s/components/monitoring/dashboard.json'), 'utf8');
  const { panels } = JSON.parse(text) as Dashboard;
  return panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
}

/** A query as Grafana asks it, for all namespaces. */
export const queryOf = (expr: string, interval: string): string =>
  expr.replaceAll('$__rate_interval', interval).replaceAll('$namespace', '.*');

const HOUR_SECONDS = 3_600;

/**
 * What the panels say of the last hour, by title and by the name of the line; what there is none of is left out. Rates are
 * multiplied into the hour's sum, so that they can be compared with counts.
 */
export async function readingsOf(
  prometheus: Prometheus,
  queries: readonly PanelQuery[],
): Promise<Map<string, Map<string, number>>> {
  const readings = new Map<string, Map<string, number>>();
  for (const { title, expr, legendFormat } of queries) {
    const lines = readings.get(title) ?? new Map<string, number>();
    readings.set(title, lines);
    // An hour's money is one already, and of two rates the quotient is none; a quantile is no rate.
    const isRate = /^sum(?: by \([^)]*\))? ?\(rate\(/.test(expr) && !expr.includes(' / ');
    for (const { labels, value } of await prometheus.ask(queryOf(expr, '1h'))) {
      const name = legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '');
      const counted = isRate ? value * HOUR_SECONDS : value;
      if (Number.isFinite(counted) && counted !== 0) lines.set(name, counted);
    }
  }
  return readings;
}
