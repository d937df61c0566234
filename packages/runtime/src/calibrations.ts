import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  fieldKey,
  modelSpecOf,
  readCalibration,
  serverDigest,
  stageKey,
  type CalibrationArtefact,
  type CalibrationUse,
  type CascadeSpec,
  type Configuration,
  type SignalSpec,
} from '@spillway/core';
import type { EnvReader } from './env.ts';
import type { Log } from './log.ts';

/** Files are looked at again no more often than this. */
const LOOK_MS = 1_000;

/** A file that a stage names, and what the stage uses it for. */
type Source = {
  /** The stage, by its `stageKey`, or a value of its answers, by its `fieldKey`. */
  readonly key: string;
  /** Where the configuration names the file. */
  readonly named: string;
  readonly path: string;
  readonly use: CalibrationUse;
};

/** The calibrations that a configuration names, read from their files; read again when a file changes. */
export class Calibrations {
  readonly #sources: readonly Source[];
  readonly #log: Log;
  readonly #read = new Map<string, CalibrationArtefact>();
  readonly #seen = new Map<string, string>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  private constructor(sources: readonly Source[], log: Log) {
    this.#sources = sources;
    this.#log = log;
  }

  /** Reads all files; what is wrong with them goes to the reader. */
  static load(reader: EnvReader, configuration: Configuration, log: Log): Calibrations {
    const calibrations = new Calibrations(sourcesOf(reader, configuration), log);
    for (const source of calibrations.#sources) {
      for (const problem of calibrations.#load(source)) {
        reader.problem(`${source.path}: ${problem} (${source.named})`);
      }
    }
    return calibrations;
  }

  /** By `stageKey` and `fieldKey`, as the files say now. A file that became wrong changes nothing but is logged. */
  current(): ReadonlyMap<string, CalibrationArtefact> {
    const now = performance.now();
    if (now - this.#lookedAtMs >= LOOK_MS) {
      this.#lookedAtMs = now;
      for (const source of this.#sources) {
        const { key, path, use } = source;
        if (this.#seen.get(key) === versionOf(path)) continue;
        const problems = this.#load(source);
        const { cascade, stage, field } = use;
        const fields = { cascade, stage, ...(field === undefined ? {} : { field }), path };
        if (problems.length === 0) this.#log.info(fields, 'a calibration changed and is used from now on');
        else this.#log.error({ ...fields, problems }, 'a changed calibration cannot be used: the one before stays');
      }
    }
    return this.#read;
  }

  /** What is wrong with a file; nothing: its calibration is the one in use, and what may be wrong with it is told. */
  #load({ key, path, use }: Source): readonly string[] {
    this.#seen.set(key, versionOf(path));
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      return [`cannot be read (${(error as NodeJS.ErrnoException).code})`];
    }
    const read = readCalibration(text, use);
    if (read.kind === 'invalid') return read.problems;
    this.#read.set(key, read.artefact);
    if (read.warnings.length > 0) {
      const detail = read.warnings.join('; ');
      this.#log.warn({ cascade: use.cascade, stage: use.stage, path, detail }, 'a calibration may not hold here');
    }
    return [];
  }
}

/** The files that the stages name, and where in the configuration they do. */
function sourcesOf(reader: EnvReader, configuration: Configuration): Source[] {
  const base = dirname(resolve(reader.text('SPILLWAY_CONFIG') ?? '.'));
  return Object.entries(configuration.cascades).flatMap(([cascade, spec]) =>
    spec.stages.flatMap(({ model: name, ask }, index): Source[] => {
      const { model, base_url: baseUrl } = modelSpecOf(configuration, name);
      const of = { cascade, stage: index + 1, ask, model, server: serverDigest(baseUrl) };
      return filesOf(spec, index).map(({ place, file, field, signal }) => ({
        key: field === undefined ? stageKey(cascade, index) : fieldKey(cascade, index, field),
        named: `cascades.${cascade}${spec.form === 'short' ? '' : `.stages.${index}`}.${place}.calibration`,
        path: resolve(base, file),
        use: { ...of, ...(field === undefined ? {} : { field }), signal },
      }));
    }),
  );
}

/** A file that a stage names, and where in it. */
type Named = {
  readonly place: string;
  readonly file: string;
  /** The value that it is of; undefined: the whole answer. */
  readonly field: string | undefined;
  readonly signal: SignalSpec;
};

function filesOf({ stages }: CascadeSpec, index: number): Named[] {
  const { judge: own = null, verdict = null } = stages[index] ?? {};
  const judge = own ?? verdict;
  if (judge === null) return [];
  const { signal, calibration } = judge.confidence;
  const place = own === null ? 'verdict' : 'confidence';
  return [
    ...(calibration === null ? [] : [{ place, file: calibration, field: undefined, signal }]),
    ...Object.entries(judge.fields ?? {}).flatMap(([field, { calibration: file }]) =>
      file === undefined ? [] : [{ place: `fields.${field}`, file, field, signal }],
    ),
  ];
}

/** Changes with the file's content, as far as its times show it. */
function versionOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? 'none' : `${found.mtimeMs} ${found.size} ${found.ino}`;
}
