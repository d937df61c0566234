/** What somebody chose in the form of a search. */
export type Choices = {
  readonly text: string;
  readonly by: '' | 'drafter' | 'expert' | 'nobody';
  readonly reason: string;
  readonly from: string;
  readonly to: string;
  readonly attempts: string;
};

export const NO_CHOICES: Choices = { text: '', by: '', reason: '', from: '', to: '', attempts: '' };

const quoted = (text: string): string => `"${text.replaceAll(/[\\"]/g, String.raw`\$&`)}"`;

/** The condition that says what was chosen; empty: nothing was. */
export function conditionOf({ text, by, reason, from, to, attempts }: Choices): string {
  const parts = [
    ...text
      .split(/\s+/)
      .filter(Boolean)
      .map((word) => `(custom_id ~ ${quoted(word)} or answer ~ ${quoted(word)})`),
    ...(by === '' ? [] : [by === 'nobody' ? 'error != null' : `role = ${by} and error = null`]),
    // As it is shown, or as lines have it.
    ...(reason.trim() === '' ? [] : [`reason = ${quoted(reason.trim().replaceAll(/\s+/g, '_'))}`]),
    ...(from === '' ? [] : [`confidence >= ${Number(from)}`]),
    ...(to === '' ? [] : [`confidence < ${Number(to)}`]),
    ...(attempts === '' ? [] : [`attempts >= ${Number(attempts)}`]),
  ];
  return parts.join(' and ');
}
