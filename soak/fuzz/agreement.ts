/** What the oracles of the targets are written with. */
import { isDeepStrictEqual } from 'node:util';

/** Throws unless it holds: the decoder has done what it must not. */
export function expectThat(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Error(typeof what === 'string' ? what : what());
}

/** Throws unless the two are the same, to the last bit of a number. */
export function expectSame(found: unknown, wanted: unknown, what: string): void {
  if (!isDeepStrictEqual(found, wanted)) throw new Error(`${what}: ${show(found)} in place of ${show(wanted)}`);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'bigint' || (typeof inner === 'number' && !Number.isFinite(inner)) ? String(inner) : inner,
  );
  return (text ?? String(value)).slice(0, 400);
}
