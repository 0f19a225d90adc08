/**
 * The bytes of what a program gives as a key or a value. abstract-level passes any view on as it is, with elements of any size; only its bytes count here. A view
 * of memory that was transferred, or made shorter, has no length, and would pass for one of no bytes: it is refused wherever it is seen.
 */
import { types } from 'node:util';
import { PagewrightLevelError } from './errors.js';

/** What it is for, which says the code of an error. A bound, or what is sought, is a key. */
export type Purpose = 'key' | 'value';

/** A key or a value as an encoding has made it: text, or a view of any kind. */
export type Encoded = string | ArrayBufferView;

/** The bytes of a view; null for text. Errors: `LEVEL_INVALID_KEY`, `LEVEL_INVALID_VALUE`. */
export function viewed(data: Encoded, purpose: Purpose): Uint8Array | null {
  if (typeof data === 'string') return null;
  if (data instanceof Uint8Array && data.length > 0) return data;
  if (!ArrayBuffer.isView(data)) {
    throw refused(purpose, `its encoding makes of it what is neither text nor a view (${typeof data}).`);
  }
  assertThere(data, purpose);
  return data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Text as it is, a view as its bytes. Errors: as of `viewed`. */
export function inBytes(data: Encoded, purpose: Purpose): string | Uint8Array {
  return viewed(data, purpose) ?? (data as string);
}

/** Refuses a view of memory that is gone, whatever encoding it is given to: many make an empty text of it. Errors: `LEVEL_INVALID_KEY`, `LEVEL_INVALID_VALUE`. */
export function assertThere(data: unknown, purpose: Purpose): void {
  if (typeof data !== 'object' || !ArrayBuffer.isView(data)) return;
  try {
    // Of these two only a DataView tells by its length; of others of no length looking into them does.
    if (data.byteLength > 0 || types.isDataView(data)) return;
    Uint8Array.prototype.at.call(data, 0);
  } catch (error) {
    const advice = 'Give it before its buffer is transferred or made shorter, or give a copy.';
    throw refused(purpose, `its memory is gone. ${advice}`, error);
  }
}

function refused(purpose: Purpose, why: string, cause?: unknown): PagewrightLevelError {
  const code = purpose === 'key' ? 'LEVEL_INVALID_KEY' : 'LEVEL_INVALID_VALUE';
  return new PagewrightLevelError(code, `The database cannot take this ${purpose}: ${why}`, { cause });
}
