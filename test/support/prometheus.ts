import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { ROOT } from './compose.ts';
import { install } from './packages.ts';
import { freePort } from './redis.ts';

/** Debian's Prometheus: what processes showed, in a time of the test's making, as its rules and queries see it. */

const run = promisify(execFile);

export type AlertRule = {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
};
export type AlertRules = { readonly groups: readonly { readonly rules: readonly AlertRule[] }[] };

export async function readAlertRules(): Promise<AlertRules> {
  const text = await readFile(join(ROOT, 'k8s/components/monitoring/alerts.yaml'), 'utf8');
  return (parse(text) as { readonly spec: AlertRules }).spec;
}

/** Null where Prometheus is there, else why not. */
export const lacksPrometheus = (): Promise<string | null> => install(['prometheus'], ['prometheus', 'promtool']);

/** What one process showed, and the labels that Prometheus gives it. */
export type Target = { readonly labels: Readonly<Record<string, string>>; readonly text: string };

type Sample = { readonly value: number; readonly isSum: boolean };
/** What Prometheus read at one time, by series. */
export type Scrape = ReadonlyMap<string, Sample>;
/** What it read minute after minute. */
export type History = readonly Scrape[];

/** What several processes showed at the same time. */
export function scrapeOf(targets: readonly Target[]): Scrape {
  const scrape = new Map<string, Sample>();
  for (const { labels, text } of targets) {
    const own = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
    const sums = new Set([...text.matchAll(/^# TYPE (\S+) (?:counter|histogram)$/gm)].map(([, name = '']) => name));
    for (const [, name = '', , inside = '', value = ''] of text.matchAll(/^([a-z_]+)(\{(.*)\})? (\S+)$/gm)) {
      const isSum = sums.has(name) || sums.has(name.replace(/_(?:count|sum|bucket)$/, ''));
      const all = [...(inside === '' ? [] : [inside]), ...own].join(',');
      scrape.set(`${name}{${all}}`, { value: Number(value), isSum });
    }
  }
  return scrape;
}

/** The same for so many minutes. */
export const still = (scrape: Scrape, minutes: number): History => Array.from({ length: minutes }, () => scrape);

/** In each minute what happened between two scrapes happens again; gauges are as in the later one. */
export const growing = (from: Scrape, to: Scrape, minutes: number): History =>
  Array.from(
    { length: minutes },
    (_, minute) =>
      new Map(
        [...to].map(([series, { value, isSum }]) => {
          const before = from.get(series)?.value ?? 0;
          return [series, { isSum, value: isSum ? before + (value - before) * (minute + 1) : value }];
        }),
      ),
  );

export type AlertCase = {
  readonly name: string;
  readonly history: History;
  /** By minute, the names of all alerts that fire. */
  readonly firing: Readonly<Record<number, readonly string[]>>;
  /** Only these alerts count; all of them if left out. */
  readonly among?: RegExp;
};

/** A history as promtool takes it: of the metrics that some expressions name. */
const seriesOf = (history: History, expressions: string): { series: string; values: string }[] => {
  const isNamed = (series: string): boolean => expressions.includes(series.slice(0, series.indexOf('{')));
  const names = new Set(history.flatMap((scrape) => [...scrape.keys()]));
  return [...names].filter(isNamed).map((series) => {
    let wasThere = false;
    const values = history.map((scrape) => {
      const value = scrape.get(series)?.value;
      const written = value === undefined ? (wasThere ? 'stale' : '_') : String(Number(value.toFixed(9)));
      wasThere = value !== undefined;
      return written.includes('e') && written !== 'stale' ? '0' : written;
    });
    return { series, values: values.join(' ') };
  });
};

/** Runs the alert rules over histories by promtool; fails where others fire than should. */
export async function checkAlerts(cases: readonly AlertCase[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-alerts-'));
  try {
    const rules = JSON.stringify(await readAlertRules());
    await writeFile(join(directory, 'rules.json'), rules);
    const tests = cases.map(({ name, history, firing, among = /.*/ }) => ({
      name,
      interval: '1m',
      input_series: seriesOf(history, rules),
      promql_expr_test: Object.entries(firing).map(([minute, names]) => ({
        expr: `group by (alertname) (ALERTS{alertstate="firing",alertname=~"${among.source}"})`,
        eval_time: `${minute}m`,
        exp_samples: names.map((alert) => ({ labels: `{alertname="${alert}"}`, value: 1 })),
      })),
    }));
    const path = join(directory, 'tests.json');
    await writeFile(path, JSON.stringify({ rule_files: ['rules.json'], evaluation_interval: '1m', tests }));
    await run('promtool', ['test', 'rules', path]).catch((error: { stdout?: string; stderr?: string }) =>
      assert.fail(`${error.stdout ?? ''}${error.stderr ?? ''}`),
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export type Answer = { readonly labels: Readonly<Record<string, string>>; readonly value: number };

/** A Prometheus that has read a history, whose last minute is its present. */
export class Prometheus implements AsyncDisposable {
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #port: number;
  readonly #nowSeconds: number;

  private constructor(directory: string, child: ChildProcess, port: number, nowSeconds: number) {
    this.#directory = directory;
    this.#child = child;
    this.#port = port;
    this.#nowSeconds = nowSeconds;
  }

  static async of(history: History): Promise<Prometheus> {
    const directory = await mkdtemp(join(tmpdir(), 'spillway-prometheus-'));
    const nowSeconds = Math.floor(Date.now() / 60_000) * 60;
    const lines = history.flatMap((scrape, minute) =>
      [...scrape].map(([series, { value }]) => `${series} ${value} ${nowSeconds - (history.length - 1 - minute) * 60}`),
    );
    await writeFile(join(directory, 'history'), `${lines.join('\n')}\n# EOF\n`);
    await writeFile(join(directory, 'prometheus.yaml'), '{}');
    const data = join(directory, 'data');
    await run('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', join(directory, 'history'), data]);
    const port = await freePort();
    const args = [`--config.file=${directory}/prometheus.yaml`, `--storage.tsdb.path=${data}`, '--log.level=error'];
    const child = spawn('prometheus', [...args, `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' });
    const started = new Prometheus(directory, child, port, nowSeconds);
    await started.#ready();
    return started;
  }

  async #ready(): Promise<void> {
    const isReady = async (): Promise<boolean> =>
      await fetch(`http://127.0.0.1:${this.#port}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    while (!(await isReady())) {
      if (this.#child.exitCode !== null) throw new Error('Prometheus ended');
    }
  }

  /** What a query says now. */
  async ask(query: string): Promise<Answer[]> {
    const address = new URL(`http://127.0.0.1:${this.#port}/api/v1/query`);
    address.search = new URLSearchParams({ query, time: String(this.#nowSeconds) }).toString();
    const { status, data, error } = (await (await fetch(address)).json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data: { readonly result: readonly { metric: Record<string, string>; value: [number, string] }[] };
    };
    if (status !== 'success') throw new Error(`${query}: ${error}`);
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await ended;
    await rm(this.#directory, { recursive: true, force: true });
  }
}
