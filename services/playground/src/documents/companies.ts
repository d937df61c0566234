/** Who writes the documents. */
export const COMPANIES = [
  'Nord',
  'Alpha',
  'Meyer',
  'Dupont',
  'Smith',
  'Lund',
  'Atlas',
  'Berg',
  'Rossi',
  'Stone',
] as const;
export const COMPANY_FORMS = ['Ltd', 'GmbH', 'SA', 'AG', 'AB', 'Inc', '& Co'] as const;
