import type { Figure, Pair } from '../figure.ts';
import type { PlaceMeasured, WayMeasured } from './measure.ts';
import type { Tally } from './tally.ts';
import { EXACT, FIELDS, PLAIN, STOPPING } from './ways.ts';
import type { WorkName } from './work.ts';

/** The aims that these ways are held to, as lines of the table of aims; without rounds where a way was not measured. */
export function aimsOf(places: readonly PlaceMeasured[], work: WorkName): Figure[] {
  return places.flatMap(({ place, ways }) => {
    const of = (name: string): WayMeasured | undefined => ways.find((way) => way.name === name);
    const [plain, exact, stopping] = [of(PLAIN), of(EXACT), of(STOPPING)];
    const where = place === 'gpu' ? 'GPU-like servers' : 'embedded pair';
    const figures: Figure[] = [
      {
        figure: `verify: the expert's own answers, ${where}`,
        reference: 'verified documents',
        unit: 'documents',
        rounds: (exact?.rounds ?? []).map(({ escalatedAsExpert: { count, of: all } }) => ({
          measured: count,
          reference: all,
        })),
        aim: { atLeast: 0.995 },
        notes: [],
      },
      {
        figure: `verify: tokens that the expert writes, ${where}`,
        reference: PLAIN,
        unit: 'tokens',
        rounds: pairsOf(exact, plain, ({ expert }) => expert.outputTokens),
        aim: { atMost: 0.25 },
        notes: [],
      },
      {
        figure: `stop early: wasted drafter tokens, ${where}`,
        reference: PLAIN,
        unit: 'tokens',
        rounds: pairsOf(stopping, plain, ({ wasted }) => wasted),
        aim: { atMost: 0.81 },
        notes: [`${stopping?.changedDecisions ?? '–'} decisions changed by it`],
      },
    ];
    if (work === 'orders') return [...figures, ...fieldsAims(of(FIELDS), plain, where)];
    if (place !== 'gpu') return figures;
    const slow: Figure = {
      figure: `verify: slow path, p50, ${where}`,
      reference: PLAIN,
      unit: 's',
      rounds: pairsOf(exact, plain, ({ toAnswerMs }) => (toAnswerMs?.p50 ?? Number.NaN) / 1_000),
      aim: { atMost: 0.6 },
      notes: [],
    };
    return [...figures, slow];
  });
}

/** Of a schema of ten values; documents of three have one unsure one in three. */
function fieldsAims(fields: WayMeasured | undefined, plain: WayMeasured | undefined, where: string): Figure[] {
  const about = { reference: PLAIN, notes: [] };
  const share = ({ right: { count, of } }: Tally): number => (100 * count) / of;
  const accuracy = pairsOf(fields, plain, share);
  return [
    {
      ...about,
      figure: `fields: tokens that the expert writes, ${where}`,
      unit: 'tokens',
      rounds: pairsOf(fields, plain, ({ expert }) => expert.outputTokens),
      aim: { atMost: 0.4 },
    },
    {
      ...about,
      figure: `fields: accuracy and half a point, ${where}`,
      unit: '%',
      rounds: accuracy.map(({ measured, reference }) => ({ measured: measured + 0.5, reference })),
      aim: { atLeast: 1 },
    },
  ];
}

function pairsOf(
  way: WayMeasured | undefined,
  reference: WayMeasured | undefined,
  of: (tally: Tally) => number,
): Pair[] {
  return (way?.rounds ?? []).flatMap((tally, at) => {
    const other = reference?.rounds[at];
    return other === undefined ? [] : [{ measured: of(tally), reference: of(other) }];
  });
}
