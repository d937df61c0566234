import type { Words } from './words.ts';

/** Italian and Dutch are never trained on: the set in which the drafter's confidence visibly stops meaning what it meant. */
export const ITALIAN: Words = {
  titles: {
    invoice: ['Fattura'], receipt: ['Ricevuta', 'Scontrino'], payslip: ['Busta paga'], reminder: ['Sollecito'],
    credit_note: ['Nota di credito'], quote: ['Preventivo'], statement: ['Estratto conto'], order: ['Ordine'],
  },
  hints: {
    invoice: ['Pagabile in 14 giorni'], receipt: ['Grazie della visita'], payslip: ['Dipendente {n}'],
    reminder: ['La fattura {n} non è pagata'], credit_note: ['Annulla la fattura {n}'], quote: ['Valido 30 giorni'],
    statement: ['Il suo conto {n}'], order: ['Si prega di consegnare'],
  },
  neutralTitles: ['Documento'],
  labels: {
    net: ['Imponibile'], tax: ['IVA'], total: ['Totale'], deposit: ['Acconto'], payable: ['Da pagare'], discount: ['Sconto'],
    shipping: ['Spedizione'], cash: ['Contanti'], change: ['Resto'], saved: ['Risparmio'], gross: ['Lordo'],
    deductions: ['Trattenute'], netPay: ['Netto'], advance: ['Anticipo'], payout: ['Versato'], yearToDate: ['Netto annuo'],
    openAmount: ['Scoperto'], fee: ['Spese'], totalDue: ['Dovuto ora'], creditTotal: ['Accreditato'], original: ['Totale iniziale'],
    option: ['Opzione, non inclusa'], previous: ['Saldo precedente'], payments: ['Pagamenti'], charges: ['Acquisti'],
    closing: ['Saldo finale'], minimum: ['Pagamento minimo'], limit: ['Limite'], earlyPayment: ['Se pagato prima'],
    instalment: ['O 3 rate'],
  },
  items: ['Carta', 'Cavo', 'Sedia', 'Servizio'],
  allAmountsIn: 'Importi in',
  date: 'Data',
};

export const DUTCH: Words = {
  titles: {
    invoice: ['Factuur'], receipt: ['Kassabon'], payslip: ['Loonstrook'], reminder: ['Aanmaning'],
    credit_note: ['Creditnota'], quote: ['Offerte'], statement: ['Rekeningoverzicht'], order: ['Bestelling'],
  },
  hints: {
    invoice: ['Te betalen binnen 14 dagen'], receipt: ['Bedankt voor uw bezoek'], payslip: ['Personeelsnr. {n}'],
    reminder: ['Factuur {n} staat open'], credit_note: ['Factuur {n} vervalt'], quote: ['Geldig 30 dagen'],
    statement: ['Uw rekening {n}'], order: ['Graag leveren'],
  },
  neutralTitles: ['Kopie'],
  labels: {
    net: ['Subtotaal'], tax: ['BTW'], total: ['Totaal'], deposit: ['Aanbetaling'], payable: ['Te betalen'], discount: ['Korting'],
    shipping: ['Verzending'], cash: ['Contant'], change: ['Wisselgeld'], saved: ['Bespaard'], gross: ['Brutoloon'],
    deductions: ['Inhoudingen'], netPay: ['Nettoloon'], advance: ['Voorschot'], payout: ['Uitbetaald'], yearToDate: ['Netto dit jaar'],
    openAmount: ['Openstaand'], fee: ['Kosten'], totalDue: ['Nu te voldoen'], creditTotal: ['Gecrediteerd'], original: ['Oorspronkelijk'],
    option: ['Optie, niet inbegrepen'], previous: ['Vorig saldo'], payments: ['Betalingen'], charges: ['Aankopen'],
    closing: ['Nieuw saldo'], minimum: ['Minimum'], limit: ['Limiet'], earlyPayment: ['Bij snelle betaling'],
    instalment: ['Of 3 keer'],
  },
  items: ['Papier', 'Kabel', 'Stoel', 'Dienst'],
  allAmountsIn: 'Bedragen in',
  date: 'Datum',
};
