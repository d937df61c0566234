/** What the lines of an order are called, several words for one meaning. */
export interface OrderWords {
  readonly titles: readonly string[];
  /** Twelve, from January on. */
  readonly months: readonly string[];
  readonly labels: Readonly<Record<OrderLabel, readonly string[]>>;
  /** Sentences that say when to pay without a date. */
  readonly due: Readonly<Record<'onReceipt' | 'endOfMonth' | 'twoWeeks', readonly string[]>>;
  /** Sentences about the way of delivery; an order that says nothing of it is not urgent. */
  readonly express: Readonly<Record<'yes' | 'no', readonly string[]>>;
  /** The two words behind a label. */
  readonly answers: Readonly<Record<'yes' | 'no', string>>;
  readonly items: readonly string[];
  readonly allAmountsIn: string;
}

const ORDER_LABELS = [
  'number',
  'date',
  'customer',
  'items',
  'due',
  'express',
  'goods',
  'shipping',
  'discount',
  'net',
  'vat',
  'total',
  'deposit',
  'payable',
  'creditLimit',
  'supplier',
  'quote',
  'printed',
  'delivery',
] as const;
export type OrderLabel = (typeof ORDER_LABELS)[number];
