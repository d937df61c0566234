/**
 * Prints the figures of the pair for orders in MODEL_CARD.md: `node src/evaluation/orders/main.ts [ORDERS] [FILE]`.
 * FILE gets a line of JSON for each order: the truth, what both models said, and how sure the drafter was of each value.
 */
import { writeFileSync } from 'node:fs';
import { areaUnderRoc, bootstrapInterval, seededRandom } from '@spillway/core';
import type { OrderField } from '../../documents/orders/index.ts';
import { isCorrectOrder, ORDER_FIELDS } from '../../documents/orders/index.ts';
import { loadTokenizer } from '../../engine/tokenizer.ts';
import type { GivenValues, Outcome } from './merge.ts';
import { askAnswer, askFields, takeFields, unsureFields } from './merge.ts';
import type { Answered, OrderPair } from './pairs.ts';
import { answerOrders } from './pairs.ts';

/** Up to where values alone come to what whole answers give at lower ones: those also mend values that seemed sure. */
const THRESHOLDS = [0.7, 0.8, 0.9, 0.95, 0.98, 0.99];
const BOOTSTRAPS = 1000;

function print(label: string, value: string): void {
  process.stdout.write(`${label.padEnd(52)} ${value}\n`);
}

const meanOf = (numbers: readonly number[]): number =>
  numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length);

/** A mean with its 95 % interval; of yes and no, a share. */
function shown(values: readonly (number | boolean)[]): string {
  const numbers = values.map(Number);
  const interval = bootstrapInterval(numbers, meanOf, { random: seededRandom(1), samples: BOOTSTRAPS });
  const [low, high] = interval ?? [Number.NaN, Number.NaN];
  return `${meanOf(numbers).toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`;
}

function printModels(orders: readonly Answered[]): void {
  const right = {
    drafter: rightOf(orders, (order) => order.draft.text),
    expert: rightOf(orders, (order) => order.expert.text),
  };
  for (const [name, values] of Object.entries(right)) {
    print(`${name}: exact match`, shown(values));
    const fifths = [0, 1, 2, 3, 4].map((fifth) =>
      meanOf(
        values.flatMap((value, i) => (Math.floor((orders[i]?.difficulty ?? 0) * 5) === fifth ? [Number(value)] : [])),
      ),
    );
    print(`${name}: by fifth of difficulty`, fifths.map((share) => share.toFixed(3)).join(' '));
  }
  const judged = orders.map((order, i) => ({
    confidence: Math.min(...Object.values(order.confidences ?? { none: 0 })),
    drafterRight: right.drafter[i] ?? false,
  }));
  const tokens = orders.reduce((sum, order) => sum + order.expert.generatedTokens, 0);
  print('expert: tokens of all answers', String(tokens));
  print('AUROC of the weakest value', (areaUnderRoc(judged) ?? Number.NaN).toFixed(4));
  for (const field of ORDER_FIELDS) printField(field, orders);
}

const rightOf = (orders: readonly Answered[], text: (order: Answered) => string): boolean[] =>
  orders.map((order) => isCorrectOrder(text(order), order.truth));

function printField(field: OrderField, orders: readonly Answered[]): void {
  const share = (holds: (order: Answered) => boolean): string =>
    meanOf(orders.map((order) => Number(holds(order)))).toFixed(4);
  const drafter = share(({ draft, truth }) => draft.said?.[field] === truth[field]);
  const expert = share(({ expert: final, truth }) => final.said?.[field] === truth[field]);
  const unsure = THRESHOLDS.map((acceptAt) => share((order) => unsureFields(order, acceptAt).includes(field)));
  print(`${field}: drafter, expert; unsure at ${THRESHOLDS.join(' ')}`, `${drafter} ${expert}; ${unsure.join(' ')}`);
}

/** What is done about unsure values, compared on the same orders. */
async function printThreshold(
  pair: OrderPair,
  orders: readonly Answered[],
  { acceptAt, given }: { readonly acceptAt: number; readonly given: GivenValues },
): Promise<void> {
  const unsure = orders.map((order) => unsureFields(order, acceptAt).length);
  print(`accept_at ${acceptAt}: orders with an unsure value`, shown(unsure.map((count) => count > 0)));
  const some = unsure.filter((count) => count > 0);
  const counts = [1, 2, 3].map((count) => `${count}: ${some.filter((number) => number === count).length}`).join(', ');
  const more = some.filter((number) => number > 3).length;
  print('  unsure values of these', `${meanOf(some).toFixed(2)} (${counts}, more: ${more})`);
  const whole = orders.map((order) => askAnswer(order, acceptAt));
  const right = (outcomes: readonly Outcome[]): boolean[] =>
    outcomes.map(({ text }, i) => isCorrectOrder(text, (orders[i] as Answered).truth));
  const base = right(whole);
  const tokens = (outcomes: readonly Outcome[]): number => outcomes.reduce((sum, one) => sum + one.expertTokens, 0);
  print('  ask: answer, accuracy', `${shown(base)}, ${tokens(whole)} expert tokens`);
  const compare = (name: string, outcomes: readonly Outcome[], cost: string): void => {
    const own = right(outcomes);
    print(`  ${name}, accuracy`, `${shown(own)}${cost}`);
    print('    less that of ask: answer', shown(own.map((value, i) => Number(value) - Number(base[i]))));
  };
  compare(
    `values from the expert's whole answer`,
    orders.map((order) => takeFields(order, acceptAt)),
    '',
  );
  const asked = await askFields(pair.expert, orders, { acceptAt, given });
  const saved = 100 * (1 - tokens(asked) / Math.max(1, tokens(whole)));
  compare('ask: fields', asked, `, ${tokens(asked)} expert tokens (${saved.toFixed(1)} % fewer)`);
}

const lineOf = ({ seed, difficulty, truth, draft, confidences, expert }: Answered): string =>
  JSON.stringify({ seed, difficulty, truth, draft, confidences: confidences ?? null, expert });

async function main(): Promise<void> {
  const [count = '5000', file] = process.argv.slice(2);
  const weights = new URL('../../../weights/orders/', import.meta.url);
  const tokenizer = loadTokenizer(new URL('tokenizer.json', weights));
  const pair = { drafter: { weights, file: 'drafter', tokenizer }, expert: { weights, file: 'expert', tokenizer } };
  const orders = await answerOrders(pair, 'test', Number(count));
  if (file !== undefined) writeFileSync(file, `${orders.map(lineOf).join('\n')}\n`);
  printModels(orders);
  const given: GivenValues = new Map();
  for (const acceptAt of THRESHOLDS) await printThreshold(pair, orders, { acceptAt, given });
}

await main();
