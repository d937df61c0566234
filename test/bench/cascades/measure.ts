import { loadavg } from 'node:os';
import type { Stats } from '../gpu/server.ts';
import type { Handled } from './handled.ts';
import { OptionError, type Options, type Place } from './options.ts';
import { runWay, warmUp, type Bench } from './run-way.ts';
import { startServers, startService } from './servers.ts';
import { tallyOf, type Tally } from './tally.ts';
import { EXACT, EXPERT_ONLY, PLAIN, type Round, type Way } from './ways.ts';
import { WORK, type WorkDocument } from './work.ts';

/** What the GPU-like servers did in a round of a way. */
export type ServersDid = { readonly drafter: Stats; readonly expert: Stats };

export type WayMeasured = {
  readonly name: string;
  readonly rounds: readonly Tally[];
  readonly servers: readonly (ServersDid | null)[];
  /** Documents whose draft was decided on otherwise than in the plain cascade; null: nothing was decided. */
  readonly changedDecisions: number | null;
  /** Documents whose answer was not the same in all rounds. */
  readonly unstable: number;
};

/** A document that was verified to the letter and is answered otherwise than the expert does by itself. */
export type Differing = Pick<Handled, 'customId' | 'answer' | 'draft' | 'keptCharacters' | 'asked'> & {
  readonly round: number;
  readonly own: string | null;
};

export type PlaceMeasured = {
  readonly place: Place;
  readonly concurrency: number;
  readonly ways: readonly WayMeasured[];
  readonly differing: readonly Differing[];
  /** Of the machine, at the start and at the end. */
  readonly load: readonly [number, number];
};

/** The ways that are measured: those that others are compared with are always among them. */
export function waysOf({ only, work }: Pick<Options, 'only' | 'work'>): readonly Way[] {
  const { ways } = WORK[work];
  const unknown = only?.find((name) => !ways.some((way) => way.name === name));
  if (unknown !== undefined)
    throw new OptionError(`--only: no way "${unknown}"; there are ${ways.map(({ name }) => name).join('; ')}`);
  return only === null ? ways : ways.filter(({ name }) => [EXPERT_ONLY, PLAIN, ...only].includes(name));
}

/** Who is told how far it is. */
export type Listener = {
  readonly tell: (line: string) => void;
  /** After each round, of all the rounds so far. */
  readonly onRound: (soFar: PlaceMeasured) => void;
};

/** All ways at one place, round by round in turn. */
export async function measurePlace(
  place: Place,
  options: Options,
  { tell, onRound }: Listener,
): Promise<PlaceMeasured> {
  const ways = waysOf(options).filter((way) => place === 'gpu' || way.kind !== 'cascade' || way.needsVerdicts !== true);
  const documents = WORK[options.work].documents(options.documents, options.seed);
  const loadBefore = loadNow();
  await using servers = await startServers(place, options);
  await using system = await startService(servers, ways);
  const bench = { servers, system, documents };
  await warmUp(ways, bench);
  // What GPU-like servers say comes from the pair, whose time is not to be measured: all of it is asked for once before.
  if (place === 'gpu') await runRound(0, ways, bench, (line) => tell(`before: ${line}`));
  await servers.takeStats();
  const runs = new Map<string, Run[]>(ways.map(({ name }) => [name, []]));
  const measured = (): PlaceMeasured => ({
    place,
    concurrency: servers.concurrency,
    load: [loadBefore, loadNow()],
    ...measuredOf(ways, documents, runs),
  });
  for (let at = 0; at < options.rounds; at += 1) {
    const round = await runRound(at, ways, bench, (line) => tell(`round ${at + 1} of ${options.rounds}: ${line}`));
    for (const [name, run] of round) runs.get(name)?.push(run);
    onRound(measured());
  }
  return measured();
}

const loadNow = (): number => Number((loadavg()[0] ?? 0).toFixed(1));

/** A round of a way, as it was run. */
export type Run = { readonly round: Round; readonly did: ServersDid | null };

/** Every way once; each is first, second and last about equally often over the rounds. */
async function runRound(
  at: number,
  ways: readonly Way[],
  bench: Bench,
  tell: (line: string) => void,
): Promise<Map<string, Run>> {
  const runs = new Map<string, Run>();
  for (let place = 0; place < ways.length; place += 1) {
    const way = ways[(at + place) % ways.length];
    if (way === undefined) continue;
    await bench.servers.reset();
    const round = await runWay(way, bench);
    runs.set(way.name, { round, did: await bench.servers.takeStats() });
    tell(`${way.name} ${round.makespanS.toFixed(1)} s`);
  }
  return runs;
}

/** Whether a way has the drafts accepted from the same confidence on as another one. */
function hasThresholdOf(name: string, way: Extract<Way, { kind: 'cascade' }>, ways: readonly Way[]): boolean {
  const other = ways.find((one) => one.name === name);
  return other?.kind === 'cascade' && other.spec['accept_at'] === way.spec['accept_at'];
}

/** What runs of ways on the same documents come to, beside one another. */
export function measuredOf(
  ways: readonly Way[],
  documents: readonly Pick<WorkDocument, 'customId' | 'isRight'>[],
  runs: ReadonlyMap<string, readonly Run[]>,
): Pick<PlaceMeasured, 'ways' | 'differing'> {
  const byId = new Map(documents.map(({ customId, isRight }) => [customId, isRight]));
  const isRight = ({ customId, answer }: Handled): boolean => answer !== null && byId.get(customId)?.(answer) === true;
  const handledIn = (name: string, at: number): readonly Handled[] => runs.get(name)?.[at]?.round.handled ?? [];
  // The expert's own answers, by which all rounds are judged.
  const own = new Map(handledIn(EXPERT_ONLY, 0).map(({ customId, answer }) => [customId, answer]));
  const plain = handledIn(PLAIN, 0);
  const measured = ways.map((way): WayMeasured => {
    const runsOf = runs.get(way.name) ?? [];
    const first = runsOf[0]?.round.handled ?? [];
    const isOther = (one: Handled, at: number): boolean => one.escalated !== plain[at]?.escalated;
    return {
      name: way.name,
      rounds: runsOf.map(({ round }) => tallyOf(round, isRight, own)),
      servers: runsOf.map(({ did }) => did),
      changedDecisions:
        way.kind === 'cascade' && hasThresholdOf(PLAIN, way, ways) ? first.filter(isOther).length : null,
      unstable: first.filter((one, at) => runsOf.some(({ round }) => round.handled[at]?.answer !== one.answer)).length,
    };
  });
  const differing = (runs.get(EXACT) ?? []).flatMap(({ round }, at) =>
    round.handled
      .filter(({ escalated, customId, answer }) => escalated && own.get(customId) !== answer)
      .map(({ customId, answer, draft, keptCharacters, asked }) => ({
        round: at,
        customId,
        own: own.get(customId) ?? null,
        answer,
        draft,
        keptCharacters,
        asked,
      })),
  );
  return { ways: measured, differing };
}
