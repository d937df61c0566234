import { listModels, showModel, type Catalogue } from '../models.ts';
import { jsonRoute, type Route } from '../route.ts';
import { modelList, modelObject } from '../schemas/objects.ts';

export function modelRoutes(catalogue: Catalogue): readonly Route[] {
  return [
    jsonRoute({
      method: 'GET',
      url: '/models',
      summary: 'List the cascades that a request may name',
      output: modelList,
      answer: () => listModels(catalogue),
    }),
    jsonRoute({
      method: 'GET',
      url: '/models/:id',
      summary: 'Show a cascade',
      output: modelObject,
      answer: ({ id }) => showModel(catalogue, id),
    }),
  ];
}
