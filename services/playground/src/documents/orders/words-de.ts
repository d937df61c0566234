import type { OrderWords } from './words.ts';

export const GERMAN_ORDER: OrderWords = {
  titles: ['Bestellung', 'Auftrag', 'Auftragsbestätigung'],
  months: ['Jan', 'Feb', 'März', 'Apr', 'Mai', 'Juni', 'Juli', 'Aug', 'Sept', 'Okt', 'Nov', 'Dez'],
  labels: {
    number: ['Bestell-Nr.', 'Auftrags-Nr.', 'Nummer'],
    date: ['Datum', 'Bestellt am', 'Vom'],
    customer: ['Kunden-Nr.', 'Kunde', 'Konto'],
    items: ['Positionen', 'Artikel', 'Zeilen'],
    due: ['Fällig', 'Zahlbar bis', 'Zahlungsziel'],
    express: ['Express', 'Eilt'],
    goods: ['Waren', 'Summe Artikel'],
    shipping: ['Versand', 'Porto'],
    discount: ['Rabatt', 'Nachlass'],
    net: ['Netto', 'Zwischensumme', 'Ohne Steuer'],
    vat: ['MwSt', 'USt'],
    total: ['Gesamt', 'Summe', 'Brutto'],
    deposit: ['Anzahlung', 'Bereits bezahlt'],
    payable: ['Zu zahlen', 'Restbetrag'],
    creditLimit: ['Budget', 'Kreditlimit'],
    supplier: ['Lieferanten-Nr.', 'Unser Zeichen'],
    quote: ['Angebot', 'Ihre Offerte'],
    printed: ['Gedruckt', 'Angebot vom'],
    delivery: ['Lieferung am', 'Ankunft'],
  },
  due: {
    onReceipt: ['Sofort zahlbar', 'Zahlung bei Bestellung'],
    endOfMonth: ['Zahlbar zum Monatsende', 'Zahlung bis Ende des Monats'],
    twoWeeks: ['Zahlbar in 14 Tagen', '14 Tage netto'],
  },
  express: {
    yes: ['Bitte per Express', 'Mit Kurier, eilt', 'Über Nacht'],
    no: ['Normaler Versand', 'Eilt nicht', 'Kein Express, mit der Post'],
  },
  answers: { yes: 'ja', no: 'nein' },
  items: ['Papier', 'Kabel', 'Stuhl', 'Kaffee', 'Lampe', 'Tisch', 'Schirm', 'Kiste'],
  allAmountsIn: 'Alle Beträge in',
};
