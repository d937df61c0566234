import type { OrderWords } from './words.ts';

export const ENGLISH_ORDER: OrderWords = {
  titles: ['Purchase order', 'Order', 'Order confirmation'],
  months: ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'June', 'July', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
  labels: {
    number: ['Order no.', 'Number', 'PO'],
    date: ['Date', 'Order date', 'Ordered on'],
    customer: ['Customer no.', 'Customer', 'Account'],
    items: ['Items', 'Positions', 'Lines'],
    due: ['Due', 'Pay by', 'Payment due'],
    express: ['Express', 'Urgent'],
    goods: ['Goods', 'Sum of items'],
    shipping: ['Delivery', 'Postage'],
    discount: ['Discount', 'Rebate'],
    net: ['Net', 'Subtotal', 'Without tax'],
    vat: ['VAT', 'Tax'],
    total: ['Total', 'Grand total', 'Order total'],
    deposit: ['Deposit', 'Prepaid'],
    payable: ['Amount due', 'To pay'],
    creditLimit: ['Budget', 'Credit limit'],
    supplier: ['Supplier no.', 'Our ref.'],
    quote: ['Quote', 'Your offer'],
    printed: ['Printed', 'Quote of'],
    delivery: ['Delivery on', 'Arrives'],
  },
  due: {
    onReceipt: ['Payable at once', 'Payment with the order'],
    endOfMonth: ['Payable at the end of the month', 'Pay by month end'],
    twoWeeks: ['Payable in 14 days', '14 days net'],
  },
  express: {
    yes: ['Express delivery please', 'By courier, urgent', 'Overnight'],
    no: ['Standard delivery', 'Not urgent', 'No express, by normal post'],
  },
  answers: { yes: 'yes', no: 'no' },
  items: ['Paper', 'Cable', 'Chair', 'Coffee', 'Lamp', 'Desk', 'Screen', 'Box'],
  allAmountsIn: 'All amounts in',
};
