import assert from 'node:assert/strict';
import { scrapeOf, type Scrape, type Target } from './prometheus.ts';
import type { Service } from './service.ts';

/** What a process shows on its health port. */
export async function metricsOf(service: Service): Promise<string> {
  const { healthPort } = await service.ready();
  const response = await fetch(`http://127.0.0.1:${String(healthPort)}/metrics`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  return await response.text();
}

const isAlive = ({ child }: Service): boolean => child.exitCode === null && child.signalCode === null;

/** What all processes show that are alive, with the labels that Prometheus gives them in a cluster. */
export async function targetsOf(services: readonly Service[]): Promise<Target[]> {
  return await Promise.all(
    services.filter(isAlive).map(async (service) => ({
      labels: { namespace: 'spillway', job: service.name, instance: String(service.child.pid) },
      text: await metricsOf(service),
    })),
  );
}

export const scrape = async (services: readonly Service[]): Promise<Scrape> => scrapeOf(await targetsOf(services));

/** Sums of one time with the gauges of another. */
export const withGaugesOf = (sums: Scrape, gauges: Scrape): Scrape =>
  new Map([...[...gauges].filter(([, { isSum }]) => !isSum), ...[...sums].filter(([, { isSum }]) => isSum)]);

/** The series of a metric, without the labels that Prometheus gives, and their values. */
export function valuesOf(scraped: Scrape, metric: string): Record<string, number> {
  return Object.fromEntries(
    [...scraped].flatMap(([series, { value }]) => {
      const [, labels = ''] = new RegExp(`^${metric}\\{(.*?),?namespace=`).exec(series) ?? [];
      return series.startsWith(`${metric}{`) ? [[labels.replaceAll(/\w+="([^"]*)"/g, '$1'), value]] : [];
    }),
  );
}
