import type { OrderWords } from './words.ts';

export const FRENCH_ORDER: OrderWords = {
  titles: ['Bon de commande', 'Commande', 'Confirmation'],
  months: ['janv', 'févr', 'mars', 'avril', 'mai', 'juin', 'juil', 'août', 'sept', 'oct', 'nov', 'déc'],
  labels: {
    number: ['Commande no', 'Numéro', 'Réf.'],
    date: ['Date', 'Commandé le', 'Du'],
    customer: ['Client no', 'Client', 'Compte'],
    items: ['Articles', 'Positions', 'Lignes'],
    due: ['Échéance', 'À payer le', 'Payable le'],
    express: ['Express', 'Urgent'],
    goods: ['Marchandises', 'Somme articles'],
    shipping: ['Livraison', 'Port'],
    discount: ['Remise', 'Rabais'],
    net: ['Net', 'Sous-total', 'Hors taxe'],
    vat: ['TVA', 'Taxe'],
    total: ['Total', 'Total TTC', 'Montant'],
    deposit: ['Acompte', 'Déjà payé'],
    payable: ['Reste à payer', 'Solde'],
    creditLimit: ['Budget', 'Plafond'],
    supplier: ['Fournisseur no', 'Notre réf.'],
    quote: ['Devis', 'Votre offre'],
    printed: ['Imprimé', 'Devis du'],
    delivery: ['Livraison le', 'Arrivée'],
  },
  due: {
    onReceipt: ['Payable de suite', 'Paiement à la commande'],
    endOfMonth: ['Payable fin du mois', 'Paiement à la fin du mois'],
    twoWeeks: ['Payable à 14 jours', '14 jours net'],
  },
  express: {
    yes: ['Livraison express svp', 'Par coursier, urgent', 'De nuit'],
    no: ['Livraison normale', 'Pas urgent', 'Sans express, par la poste'],
  },
  answers: { yes: 'oui', no: 'non' },
  items: ['Papier', 'Câble', 'Chaise', 'Café', 'Lampe', 'Bureau', 'Écran', 'Caisse'],
  allAmountsIn: 'Montants en',
};
