/** What a transaction is refused with that met a change of another one. */
import { PagewrightError, type Target } from '@pagewright/core';

/** The commit that was in the way, and what the transaction that is refused has done with the key. */
export interface Conflict {
  readonly snapshot: number;
  readonly committed: number;
  readonly has: 'written' | 'read';
}

/** `PW_CONFLICT`. A null key: it is the whole index that was changed. */
export function conflict(
  target: Target,
  key: Uint8Array | null,
  { snapshot, committed, has }: Conflict,
): PagewrightError {
  const { name } = target;
  const what = has === 'read' ? ', which this one has read,' : '';
  return new PagewrightError(
    'PW_CONFLICT',
    key === null
      ? `The index '${name}' was created, cleared or loaded after this transaction began. Run the transaction again.`
      : `Another transaction changed key ${printable(key)} of index '${name}'${what} after this one began. Run the transaction again; db.transaction() does that by itself.`,
    { details: { index: name, key: key === null ? undefined : new Uint8Array(key), snapshot, committed, has } },
  );
}

/** The beginning of a key as a person can read it. */
function printable(key: Uint8Array): string {
  const start = Buffer.from(key.subarray(0, 32));
  const isText = start.every((byte) => byte >= 0x20 && byte < 0x7f);
  return `${isText ? JSON.stringify(start.toString('latin1')) : `0x${start.toString('hex')}`}${key.length > 32 ? '…' : ''}`;
}
