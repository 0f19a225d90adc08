/** Sizes as people write them in a config. */
import { PagewrightError } from './errors.js';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

/** Bytes in `4096`, `'16KiB'`, `'1.5MiB'` (powers of two) or `'64MB'` (powers of ten). Errors: `PW_OPTION_INVALID`. */
export function parseByteSize(value: number | string): number {
  const match = typeof value === 'number' ? null : /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(value);
  const bytes = typeof value === 'number' ? value : Number(match?.[1]) * (UNITS[match?.[2]?.toLowerCase() ?? '?'] ?? Number.NaN);
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new PagewrightError('PW_OPTION_INVALID', `${JSON.stringify(value)} is no size in whole bytes. Write a number of bytes, or as in '64MiB'.`, {
      details: { value },
    });
  }
  return bytes;
}

/** The size with the largest unit that it fills, as in `'1.5 MiB'`. */
export function formatByteSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const scaled = bytes / 2 ** (10 * power);
  return `${Number.isInteger(scaled) ? scaled : scaled.toFixed(1)} ${units[power]}`;
}
