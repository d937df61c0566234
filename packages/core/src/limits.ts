/** Every limit of Spillway, with its unit in the name and its reason beside it. */
export const LIMITS = {
  /** A few page images fit in, as base64. A document is a job in Redis twice at most, and a page by itself. */
  lineBytes: 16 * 1024 * 1024,
  /** What an operator may allow; a page holds at least one line, and is held in memory. */
  lineBytesMax: 64 * 1024 * 1024,
  /** OpenAI allows 50,000; memory of the validation hardly depends on the number (30 to 90 bytes a line). */
  batchLines: 1_000_000,
  /** OpenAI allows 200 MB. Uploads are streamed, so this bounds the disk, not the memory. */
  uploadBytes: 1024 ** 3,
  /** JSON that is parsed and written again by recursion must not exhaust the stack. */
  jsonDepth: 128,
  /** A result line and a page of results are levels around an answer, and serde_json and jq stop before 128 in all. */
  answerDepth: 120,
  /** Scalars, objects and arrays of a request or of an answer's text: what is looked at value by value takes milliseconds. */
  jsonValues: 100_000,
  /** What a model server may send with an answer: log-probs are some twenty values a token, so this is 50,000 tokens. */
  answerValues: 1_000_000,
  /** A text of a million characters is a quarter of a million tokens: what is longer is delivered, and not judged. */
  judgedCharacters: 1024 * 1024,
  /** Log-probs of a draft that are looked at: its tokens and all their alternatives. Reading them takes 1 µs each. */
  judgedLogprobs: 250_000,
  /**
   * Request and draft that a model is asked to score in one pass: some 50,000 tokens, each an entry of the answer. Scoring
   * very long prompts has made servers run out of memory.
   */
  scoredCharacters: 200_000,
  /** What somebody wants of one batch in work, one after the other: all of it is kept until the batch goes. */
  controls: 1_000,
  /** A condition on results: longer than any that somebody writes. */
  conditionCharacters: 2_000,
  /** Of a batch, by which an accuracy is promised: at most 500 of them are used. */
  labels: 20_000,
  labelBytes: 64 * 1024,
  /** All of a file of labels. */
  labelsFileBytes: 64 * 1024 * 1024,
  customIdCharacters: 512,
  /** Each stage is a wait in a row; a document's trace and its page's footer grow with them. */
  cascadeStages: 8,
  /** A page is the unit that leaves Redis: large enough for one object a page, small enough to hold in memory. */
  pageDocuments: 256,
  pageInputBytes: 4 * 1024 * 1024,
  /** Nearly every footer is shorter; a longer one is read a second time, whole. */
  footerBytes: 64 * 1024,
  /** As the hosted API reports no more than a handful; a file with a systematic mistake says the same thing each line. */
  validationErrors: 100,
  metadataKeys: 16,
  metadataKeyCharacters: 64,
  metadataValueCharacters: 512,
  completionWindowMinMs: 60_000,
  completionWindowMaxMs: 7 * 86_400_000,
  fileExpiryMinSeconds: 3_600,
  fileExpiryMaxSeconds: 2_592_000,
  /** Batch creation is a small JSON object, unless it brings its requests with it. */
  requestBodyBytes: 1024 * 1024,
  /** Held in memory while it is parsed; whoever has more uploads a file. */
  inlineRequestsBytes: 10 * 1024 * 1024,
  /** As many as the hosted API takes in a file. */
  inlineRequests: 50_000,
  /** Of all of them together; a short chat request has a dozen, its own object included. */
  inlineValues: 15 * 50_000,
  /** A body that is no file: JSON of some megabytes at most. */
  bodyMs: 30_000,
  idempotencyKeyCharacters: 255,
  /** Retries of retries; reading a batch with its retries opens the files of each. */
  retryDepth: 32,
  /** What a document costs in Redis beside its own bytes: a job's hash and its places in BullMQ's sets. */
  documentOverheadBytes: 1024,
  /** Input and result bytes of enqueued pages, per way through the tiers; with a 4 MiB page this is at least 16 pages in flight. */
  inFlightBytesPerWay: 64 * 1024 * 1024,
  /** Documents waiting for one drafter tier: some thousand small ones, enough for seconds of work between two enqueues. */
  waitingBytesPerTier: 8 * 1024 * 1024,
  /** What a model server says is kept as far as it serves to recognise it, in whole characters. */
  saidCharacters: 300,
  /** Of a batch, one for each reason of escalation and failure: in Redis, and in every footer. */
  saidTexts: 24,
  /** So many drafts of a batch say whether a stage's drafts can be judged at all; fewer say it of a batch that has no more. */
  firstDrafts: 50,
  firstDraftsMin: 10,
  /**
   * Audits that wait in a tier's queue, those of a batch among them, and their bytes: beyond that what was chosen is not
   * asked about. They are in no page, so no capacity bounds them; to look through 512 takes Redis 0.1 ms.
   */
  audits: 512,
  batchAudits: 128,
  auditBytes: 16 * 1024 * 1024,
  /** BullMQ's highest priority number. */
  queuePriority: 2 ** 21 - 1,
  /** Enqueueing stops and creating is refused before Redis itself refuses to write. */
  enqueueMemoryShare: 0.6,
  createMemoryShare: 0.7,
  /** What is in flight grows by its results and drafts, about as much again; and Redis needs some for itself. */
  filledMemoryShare: 0.8,
  /** An answer at once; the SDKs themselves give up after ten minutes. */
  directAnswerMs: 600_000,
  /** A dry run's pilot: 200 answers say of a share what it is within 6 points, and more cost more than they tell. */
  pilotDocuments: 200,
  /** Its check of an input: 1 GiB of short lines takes half of it on one core. */
  dryRunCheckMs: 60_000,
  /** What of a pilot was not answered by then is left out. */
  pilotMs: 300_000,
  /** Bytes go no sooner than this after their file was deleted or has expired: readers may be in mid-download. */
  garbageAfterMs: 3_600_000,
  /** What was begun and never finished, an upload or a create, is taken away when it is this old. */
  unfinishedAfterMs: 2 * 86_400_000,
  /** A batch without files is still shown for so long after its end. */
  batchKeptMs: 30 * 86_400_000,
  /** No upload takes longer; at 1 GiB that is 12 kB/s. */
  uploadMs: 86_400_000,
  /** An upload whose sender falls silent ends. */
  uploadIdleMs: 60_000,
} as const;
