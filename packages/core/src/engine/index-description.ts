/**
 * The description of an index as the log carries it when the index is created: type, key encoding, value encoding and
 * name, each as a byte of length and UTF-8, after a byte that says the version.
 */
import { PagewrightError } from '../errors.js';
import type { IndexDescription } from './catalog-layout.js';

const VERSION = 1;
const FIELDS = ['type', 'keyEncoding', 'valueEncoding', 'name'] as const;

export function encodeDescription(description: IndexDescription): Uint8Array {
  const parts = FIELDS.map((field) => Buffer.from(description[field]));
  return Buffer.concat([Buffer.of(VERSION), ...parts.flatMap((part) => [Buffer.of(part.length), part])]);
}

/** Errors: `PW_CORRUPT_LOG`. */
export function decodeDescription(bytes: Uint8Array): IndexDescription {
  const description = { type: '', keyEncoding: '', valueEncoding: '', name: '' };
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 1;
  for (const field of FIELDS) {
    const length = bytes[at] ?? 0;
    const text = bytes.subarray(at + 1, at + 1 + length);
    if (bytes[0] !== VERSION || length === 0 || text.length !== length) throw damaged();
    try {
      description[field] = decoder.decode(text);
    } catch {
      throw damaged();
    }
    at += 1 + length;
  }
  if (at !== bytes.length) throw damaged();
  return description;
}

function damaged(): PagewrightError {
  return new PagewrightError(
    'PW_CORRUPT_LOG',
    'The log creates an index with a description that cannot be read. It was written by another release, or is damaged.',
  );
}
