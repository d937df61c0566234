/** The body of every error over HTTP; all four keys always present. */
export type ErrorEnvelope = {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
};

export function errorEnvelope(type: string, message: string, param: string | null, code: string | null): ErrorEnvelope {
  return { error: { message, type, param, code } };
}
