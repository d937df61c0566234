import type { Random } from './random.ts';
import type { DocumentType, Label } from './words.ts';

/** One labelled sum of money on a document, in hundredths. */
export interface Sum {
  readonly label: Label;
  readonly cents: number;
}

/** The sums of a document in their usual order, and the one that is asked for. */
export interface Sums {
  readonly lines: readonly Sum[];
  readonly totalCents: number;
}

/** Prices in shops end round more often than not, wages do not; the spread of sizes keeps a model from guessing the digits. */
function drawCents(random: Random, digits: number): number {
  const low = 10 ** (digits - 1);
  const cents = random.between(low, low * 10 - 1);
  return random.chance(0.2) ? Math.ceil(cents / 100) * 100 : cents;
}

function taxOf(random: Random, netCents: number): number {
  return Math.round((netCents * random.pick([5, 7, 8, 10, 19, 20, 25])) / 100);
}

/** Net, tax and total: the total is neither the first nor always the last or the largest sum that a reader meets. */
function sumUp(random: Random, label: 'total' | 'creditTotal'): Sums {
  const net = drawCents(random, random.between(3, 6));
  const tax = taxOf(random, net);
  const total: Sum = { label, cents: net + tax };
  if (random.chance(0.25)) return { lines: [total, { label: 'tax', cents: tax }], totalCents: net + tax };
  return { lines: [{ label: 'net', cents: net }, { label: 'tax', cents: tax }, total], totalCents: net + tax };
}

function sumInvoice(random: Random, trap: () => boolean): Sums {
  const { lines, totalCents } = sumUp(random, 'total');
  const after: Sum[] = [];
  let payable = totalCents;
  if (trap()) {
    const deposit = Math.round((totalCents * random.between(2, 9)) / 10);
    payable -= deposit;
    after.push({ label: 'deposit', cents: deposit }, { label: 'payable', cents: payable });
  } else if (random.chance(0.2)) {
    after.push({ label: 'payable', cents: payable });
  }
  if (trap() && random.chance(0.5)) after.push({ label: 'earlyPayment', cents: Math.round(payable * 0.98) });
  else if (trap() && random.chance(0.4)) after.push({ label: 'instalment', cents: Math.ceil(payable / 3) });
  return { lines: [...lines, ...after], totalCents: payable };
}

function sumReceipt(random: Random, trap: () => boolean): Sums {
  const { lines, totalCents } = sumUp(random, 'total');
  const after: Sum[] = [];
  if (trap()) {
    const given = Math.ceil((totalCents + 1) / 500) * 500;
    after.push({ label: 'cash', cents: given }, { label: 'change', cents: given - totalCents });
  }
  if (trap() && random.chance(0.5)) after.push({ label: 'saved', cents: drawCents(random, 3) });
  return { lines: [...lines, ...after], totalCents };
}

function sumPayslip(random: Random, trap: () => boolean): Sums {
  const gross = drawCents(random, random.between(5, 6));
  const deductions = Math.round((gross * random.between(15, 40)) / 100);
  const net = gross - deductions;
  const lines: Sum[] = [
    { label: 'gross', cents: gross },
    { label: 'deductions', cents: deductions },
    { label: 'netPay', cents: net },
  ];
  let paid = net;
  if (trap()) {
    const advance = Math.round((net * random.between(1, 5)) / 10);
    paid -= advance;
    lines.push({ label: 'advance', cents: advance }, { label: 'payout', cents: paid });
  }
  if (trap()) lines.push({ label: 'yearToDate', cents: net * random.between(2, 9) });
  return { lines, totalCents: paid };
}

function sumReminder(random: Random, trap: () => boolean): Sums {
  const open = drawCents(random, random.between(4, 6));
  const fee = random.pick([250, 400, 500, 1000, 1500, 2000]);
  const lines: Sum[] = [];
  let due = open;
  if (trap()) {
    const paid = Math.round((open * random.between(1, 6)) / 10);
    lines.push({ label: 'original', cents: open + paid }, { label: 'payments', cents: paid });
  }
  lines.push({ label: 'openAmount', cents: open });
  if (random.chance(0.7)) {
    due += fee;
    lines.push({ label: 'fee', cents: fee }, { label: 'totalDue', cents: due });
  }
  return { lines, totalCents: due };
}

function sumCreditNote(random: Random, trap: () => boolean): Sums {
  const { lines, totalCents } = sumUp(random, 'creditTotal');
  const original: Sum = { label: 'original', cents: totalCents + drawCents(random, 5) };
  return { lines: trap() ? [original, ...lines] : lines, totalCents };
}

function sumQuote(random: Random, trap: () => boolean): Sums {
  const { lines, totalCents } = sumUp(random, 'total');
  const extra: Sum[] = trap() ? [{ label: 'option', cents: drawCents(random, random.between(4, 5)) }] : [];
  const discount: Sum[] = trap() ? [{ label: 'discount', cents: drawCents(random, 3) }] : [];
  return { lines: [...discount, ...lines, ...extra], totalCents };
}

function sumStatement(random: Random, trap: () => boolean): Sums {
  const previous = drawCents(random, random.between(4, 6));
  const payments = Math.round((previous * random.between(2, 10)) / 10);
  const charges = drawCents(random, random.between(4, 5));
  const closing = previous - payments + charges;
  const lines: Sum[] = [
    { label: 'previous', cents: previous },
    { label: 'payments', cents: payments },
    { label: 'charges', cents: charges },
  ];
  // Some banks put the new balance on top, so its place does not give it away.
  if (random.chance(0.3)) lines.unshift({ label: 'closing', cents: closing });
  else lines.push({ label: 'closing', cents: closing });
  if (trap()) lines.push({ label: random.pick(['minimum', 'limit'] as const), cents: drawCents(random, 4) * 10 });
  return { lines, totalCents: closing };
}

function sumOrder(random: Random, trap: () => boolean): Sums {
  const net = drawCents(random, random.between(4, 6));
  const shipping = drawCents(random, 3);
  const lines: Sum[] = [
    { label: 'net', cents: net },
    { label: 'shipping', cents: shipping },
    { label: 'total', cents: net + shipping },
  ];
  if (trap()) lines.push({ label: 'limit', cents: Math.ceil((net * 1.5) / 10000) * 10000 });
  return { lines, totalCents: net + shipping };
}

const SUMMED: Readonly<Record<DocumentType, (random: Random, trap: () => boolean) => Sums>> = {
  invoice: sumInvoice,
  receipt: sumReceipt,
  payslip: sumPayslip,
  reminder: sumReminder,
  credit_note: sumCreditNote,
  quote: sumQuote,
  statement: sumStatement,
  order: sumOrder,
};

/** Draws the sums of a document; `trap` decides each time anew whether a misleading sum is put beside the right one. */
export function drawSums(random: Random, type: DocumentType, trap: () => boolean): Sums {
  return SUMMED[type](random, trap);
}
