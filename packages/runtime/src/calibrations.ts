import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readCalibration, type CalibrationArtefact, type Configuration } from '@spillway/core';
import type { EnvReader } from './env.ts';
import type { Log } from './log.ts';

/** Files are looked at again no more often than this. */
const LOOK_MS = 1_000;

type Source = {
  readonly cascade: string;
  readonly path: string;
  readonly use: Parameters<typeof readCalibration>[1];
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
        reader.problem(`${source.path}: ${problem} (cascades.${source.cascade}.confidence.calibration)`);
      }
    }
    return calibrations;
  }

  /** By cascade, as the files say now. A file that became wrong changes nothing, and is told of. */
  current(): ReadonlyMap<string, CalibrationArtefact> {
    const now = performance.now();
    if (now - this.#lookedAtMs >= LOOK_MS) {
      this.#lookedAtMs = now;
      for (const source of this.#sources) {
        if (this.#seen.get(source.path) === versionOf(source.path)) continue;
        const problems = this.#load(source);
        const fields = { cascade: source.cascade, path: source.path };
        if (problems.length === 0) this.#log.info(fields, 'a calibration changed and is used from now on');
        else this.#log.error({ ...fields, problems }, 'a changed calibration cannot be used: the one before stays');
      }
    }
    return this.#read;
  }

  /** What is wrong with a file; nothing: its calibration is the one in use. */
  #load(source: Source): readonly string[] {
    this.#seen.set(source.path, versionOf(source.path));
    let text: string;
    try {
      text = readFileSync(source.path, 'utf8');
    } catch (error) {
      return [`cannot be read (${(error as NodeJS.ErrnoException).code})`];
    }
    const read = readCalibration(text, source.use);
    if (read.kind === 'invalid') return read.problems;
    this.#read.set(source.cascade, read.artefact);
    return [];
  }
}

function sourcesOf(reader: EnvReader, configuration: Configuration): Source[] {
  const base = dirname(resolve(reader.text('SPILLWAY_CONFIG') ?? '.'));
  return Object.entries(configuration.cascades).flatMap(([cascade, { drafter, confidence }]) => {
    const { signal, calibration } = confidence;
    const model = configuration.models[drafter]?.model ?? drafter;
    return calibration === null ? [] : [{ cascade, path: resolve(base, calibration), use: { cascade, model, signal } }];
  });
}

/** Changes with the file's content, as far as its times tell. */
function versionOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? 'none' : `${found.mtimeMs} ${found.size} ${found.ino}`;
}
