export const TYPES = [
  'invoice',
  'receipt',
  'payslip',
  'reminder',
  'credit_note',
  'quote',
  'statement',
  'order',
] as const;
export type DocumentType = (typeof TYPES)[number];
export type Language = 'en' | 'de' | 'fr' | 'it' | 'nl';

/** What the lines of a document are called. Several words for one meaning are one of the things that size buys. */
export interface Words {
  readonly titles: Readonly<Record<DocumentType, readonly string[]>>;
  /** A sentence that gives the type away where the title is missing. */
  readonly hints: Readonly<Record<DocumentType, readonly string[]>>;
  /** Titles that fit every type. */
  readonly neutralTitles: readonly string[];
  readonly labels: Readonly<Record<Label, readonly string[]>>;
  readonly items: readonly string[];
  readonly allAmountsIn: string;
  readonly date: string;
}

const LABELS = [
  'net',
  'tax',
  'total',
  'deposit',
  'payable',
  'discount',
  'shipping',
  'cash',
  'change',
  'saved',
  'gross',
  'deductions',
  'netPay',
  'advance',
  'payout',
  'yearToDate',
  'openAmount',
  'fee',
  'totalDue',
  'creditTotal',
  'original',
  'option',
  'previous',
  'payments',
  'charges',
  'closing',
  'minimum',
  'limit',
  'earlyPayment',
  'instalment',
] as const;
export type Label = (typeof LABELS)[number];
