import type { Language } from './words.ts';

export const CURRENCIES = ['EUR', 'GBP', 'USD', 'CHF', 'CAD', 'SEK', 'NOK'] as const;
export type Currency = (typeof CURRENCIES)[number];

/** How a sum of money is written where the document comes from. */
export interface Place {
  readonly currency: Currency;
  /** What people write there; `$` and `kr` do not say whose, so only the town or the account number says it. */
  readonly symbols: readonly string[];
  readonly accountPrefix: string;
  readonly towns: readonly string[];
  readonly languages: readonly Language[];
}

export const PLACES: readonly Place[] = [
  {
    currency: 'GBP',
    symbols: ['£', 'GBP'],
    accountPrefix: 'GB',
    languages: ['en'],
    towns: ['London', 'Leeds', 'Bristol', 'York', 'Glasgow', 'Cardiff'],
  },
  {
    currency: 'USD',
    symbols: ['$', '$', 'USD', 'US$'],
    accountPrefix: 'US',
    languages: ['en'],
    towns: ['Boston', 'Chicago', 'Dallas', 'Denver', 'Austin', 'Seattle'],
  },
  {
    currency: 'CAD',
    symbols: ['$', '$', 'CAD', 'C$'],
    accountPrefix: 'CA',
    languages: ['en', 'fr'],
    towns: ['Toronto', 'Ottawa', 'Calgary', 'Québec', 'Halifax', 'Montréal'],
  },
  {
    currency: 'EUR',
    symbols: ['€', 'EUR'],
    accountPrefix: 'DE',
    languages: ['de'],
    towns: ['Berlin', 'Bonn', 'Köln', 'Dresden', 'Ulm', 'Wien', 'Graz'],
  },
  {
    currency: 'EUR',
    symbols: ['€', 'EUR'],
    accountPrefix: 'FR',
    languages: ['fr'],
    towns: ['Paris', 'Lyon', 'Lille', 'Nantes', 'Metz', 'Liège'],
  },
  {
    currency: 'EUR',
    symbols: ['€', 'EUR'],
    accountPrefix: 'IE',
    languages: ['en'],
    towns: ['Dublin', 'Cork', 'Galway'],
  },
  {
    currency: 'CHF',
    symbols: ['Fr.', 'CHF', 'SFr.'],
    accountPrefix: 'CH',
    languages: ['de', 'fr'],
    towns: ['Zürich', 'Bern', 'Basel', 'Chur', 'Genève', 'Lausanne'],
  },
  {
    currency: 'SEK',
    symbols: ['kr', 'kr', 'SEK'],
    accountPrefix: 'SE',
    languages: ['en'],
    towns: ['Stockholm', 'Malmö', 'Uppsala', 'Lund', 'Umeå'],
  },
  {
    currency: 'NOK',
    symbols: ['kr', 'kr', 'NOK'],
    accountPrefix: 'NO',
    languages: ['en'],
    towns: ['Oslo', 'Bergen', 'Tromsø', 'Bodø', 'Hamar'],
  },
];

/** The places of the shifted set: the same currencies, but towns and languages that no model was trained on. */
export const SHIFTED_PLACES: readonly Place[] = [
  {
    currency: 'EUR',
    symbols: ['€', 'EUR'],
    accountPrefix: 'IT',
    languages: ['it'],
    towns: ['Roma', 'Torino', 'Pisa', 'Verona'],
  },
  {
    currency: 'EUR',
    symbols: ['€', 'EUR'],
    accountPrefix: 'NL',
    languages: ['nl'],
    towns: ['Utrecht', 'Breda', 'Delft', 'Leiden'],
  },
  { currency: 'CHF', symbols: ['Fr.', 'CHF'], accountPrefix: 'CH', languages: ['it'], towns: ['Lugano', 'Locarno'] },
];
