/**
 * Why an attempt failed: `type` is a status or a short name, as OpenTelemetry's `error.type`; neither it nor the message
 * holds content.
 */
export type AttemptError = {
  readonly type: string;
  readonly message: string;
  /** What the server said, redacted and cut. It may quote the request: it goes to the batch's owner, and into no line. */
  readonly said?: string;
};
