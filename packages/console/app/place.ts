/** Where in the console somebody is, as the address says behind its `#`. */
export type Place =
  | { readonly view: 'batches' | 'create' | 'tiers' }
  | { readonly view: 'batch'; readonly batch: string }
  | { readonly view: 'documents' | 'review'; readonly batch: string; readonly where: string }
  | { readonly view: 'document'; readonly batch: string; readonly customId: string };

export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?');
  const [, first = '', batch, view, customId] = path.split('/').map((part) => decoded(part));
  if (first === 'create' || first === 'tiers') return { view: first };
  // In an address these mean other folders.
  const isNamed = batch !== undefined && !['', '.', '..'].includes(batch);
  if (first !== 'batches' || !isNamed) return { view: 'batches' };
  if (view === 'documents' && customId !== undefined) return { view: 'document', batch, customId };
  if (view === 'documents' || view === 'review')
    return { view, batch, where: new URLSearchParams(query).get('where') ?? '' };
  return { view: 'batch', batch };
}

export function addressOf(place: Place): string {
  switch (place.view) {
    case 'batches':
      return '#/';
    case 'create':
    case 'tiers':
      return `#/${place.view}`;
    case 'batch':
      return `#/batches/${encodeURIComponent(place.batch)}`;
    case 'document':
      return `#/batches/${encodeURIComponent(place.batch)}/documents/${encodeURIComponent(place.customId)}`;
    case 'documents':
    case 'review': {
      const query = place.where === '' ? '' : `?${new URLSearchParams({ where: place.where }).toString()}`;
      return `#/batches/${encodeURIComponent(place.batch)}/${place.view}${query}`;
    }
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
