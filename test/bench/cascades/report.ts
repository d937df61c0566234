import { verdictOf, type Figure } from '../figure.ts';
import { pictureOf } from '../picture.ts';
import { tableOf } from '../table.ts';
import { aimsOf } from './aims.ts';
import type { PlaceMeasured } from './measure.ts';
import type { Options } from './options.ts';
import { timePicture, workPicture } from './picture.ts';
import { notesOf, timeTable, workTable } from './table.ts';

/** What figures were measured on; those of two machines, or of two loads, are not to be compared. */
export type Machine = {
  readonly cores: number;
  readonly processor: string;
  readonly node: string;
  readonly commit: string;
  readonly startedAt: string;
};

/** Everything that was measured, or what there is of it so far. */
export type Measured = {
  readonly machine: Machine;
  readonly options: Options;
  readonly places: readonly PlaceMeasured[];
};

function aboutOf({ options, machine }: Measured, { place, concurrency, load, ways }: PlaceMeasured): string {
  const { work, documents, seed, speed, scale } = options;
  const servers =
    place === 'gpu'
      ? `GPU-like servers (llama-8b-h100, llama-70b-4xh100) at ${speed} × a real one's speed, each token of the pair as ${scale} of theirs`
      : 'embedded pair';
  const rounds = Math.max(0, ...ways.map((way) => way.rounds.length));
  return `${servers}; ${documents} ${work} (seed ${seed}), ${rounds} rounds, ${concurrency} calls a model; ${machine.cores} cores, load ${load.join(' to ')}, ${machine.commit}`;
}

const jsonOf = (measured: Measured, aims: readonly Figure[]): string => {
  const figures = aims.map((one) => ({ ...one, verdict: verdictOf(one) }));
  return `${JSON.stringify({ ...measured, aims: figures }, null, 2)}\n`;
};

/** What is said of it: tables in Markdown, with notes, or all of it as JSON. */
export function said(measured: Measured): string {
  const aims = aimsOf(measured.places, measured.options.work);
  if (measured.options.json) return jsonOf(measured, aims);
  const parts = measured.places.flatMap((place) => [
    `## ${aboutOf(measured, place)}`,
    workTable(place),
    timeTable(place),
    notesOf(place)
      .map((note) => `- ${note}`)
      .join('\n'),
  ]);
  return `${[...parts, tableOf(aims)].filter((part) => part !== '').join('\n\n')}\n`;
}

/** The files of a folder, by their names. */
export function filesOf(measured: Measured): Record<string, string> {
  const aims = aimsOf(measured.places, measured.options.work);
  const pictures = measured.places.flatMap((place) => {
    const subtitle = aboutOf(measured, place).replace('; ', '\n');
    return [
      [`cascades-work-${place.place}.svg`, workPicture(place, subtitle)],
      [`cascades-time-${place.place}.svg`, timePicture(place, subtitle)],
    ];
  });
  return {
    'cascades.json': jsonOf(measured, aims),
    'cascades.md': said({ ...measured, options: { ...measured.options, json: false } }),
    'cascades-aims.svg': pictureOf('Ways of a cascade: figures against their aims', measured.machine.commit, aims),
    ...(Object.fromEntries(pictures) as Record<string, string>),
  };
}
