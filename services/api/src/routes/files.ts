import { z } from 'zod';
import { sendContent } from '../files/content.ts';
import { filesQuery, listFiles } from '../files/list.ts';
import { removeFile } from '../files/remove.ts';
import { showFile } from '../files/show.ts';
import { uploadBody, uploadFile, type UploadLimits } from '../files/upload.ts';
import type { ByteSources } from '../quota/stored-bytes.ts';
import { jsonRoute, streamRoute, type Route } from '../route.ts';
import { deletedFile, fileObject, pageOf } from '../schemas/objects.ts';
import type { Tenants } from '../tenants.ts';

/** What the routes of files work with. */
export type FileSources = ByteSources & { readonly tenants: Tenants; readonly limits: UploadLimits };

export function fileRoutes(sources: FileSources): readonly Route[] {
  return [
    jsonRoute({
      method: 'POST',
      url: '/files',
      summary: 'Upload an input file',
      body: { type: 'multipart/form-data', schema: uploadBody },
      output: fileObject,
      errors: [408, 413, 415, 429],
      limitMs: null,
      answer: ({ caller, request }) => uploadFile(sources, caller, request),
    }),
    jsonRoute({
      method: 'GET',
      url: '/files',
      summary: 'List files',
      query: filesQuery,
      output: pageOf(fileObject),
      errors: [404],
      answer: ({ tenant, query }) => listFiles(sources, tenant, query),
    }),
    jsonRoute({
      method: 'GET',
      url: '/files/:id',
      summary: 'Show a file',
      output: fileObject,
      answer: ({ tenant, id }) => showFile(sources.records, tenant, id),
    }),
    jsonRoute({
      method: 'DELETE',
      url: '/files/:id',
      summary: 'Delete a file',
      output: deletedFile,
      answer: ({ tenant, id }) => removeFile(sources, tenant, id),
    }),
    streamRoute({
      method: 'GET',
      url: '/files/:id/content',
      summary: "Download a file's bytes, or one range of them",
      headers: ['Range'],
      output: { type: 'application/octet-stream', schema: z.string().meta({ format: 'binary' }) },
      isPartial: true,
      errors: [416],
      answer: ({ tenant, id, ...http }) => sendContent(sources, tenant, id, http),
    }),
  ];
}
