/** Sizes as people write them in a config: `4096`, `'16KiB'`, `'64MB'`. */
import { PagewrightError } from './errors.js';

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** By their names in lower case: nobody means a megabit by `mb`. */
const BYTES_OF_UNIT: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ...BINARY_UNITS.map((unit, power): [string, number] => [unit.toLowerCase(), 1024 ** power]),
  ...['kb', 'mb', 'gb', 'tb'].map((unit, power): [string, number] => [unit, 1000 ** (power + 1)]),
]);

/**
 * A size in bytes. Takes whole numbers of bytes, and text of a decimal number and a unit: `B`, `KiB`, `MiB`, `GiB`, `TiB`
 * (powers of 1024) or `KB`, `MB`, `GB`, `TB` (powers of 1000), as in `'1.5MiB'`.
 *
 * @throws PW_OPTION_INVALID if it is of another form, negative, or no whole number of bytes
 */
export function parseByteSize(value: number | string): number {
  const bytes = typeof value === 'string' ? bytesOfText(value) : value;
  if (Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  throw new PagewrightError(
    'PW_OPTION_INVALID',
    `${typeof value === 'string' ? JSON.stringify(value) : String(value)} is no size. Give a whole number of bytes, as a number or as in '64MiB'.`,
    { details: { value } },
  );
}

/** The size in the largest binary unit of which it has at least one, to one decimal: `'1.5 MiB'`. */
export function formatByteSize(bytes: number): string {
  let power = 0;
  let scaled = bytes;
  // Rounding may fill the unit: 1,048,575 bytes are not 1024 KiB but 1 MiB.
  while (power < BINARY_UNITS.length - 1 && Math.round(scaled * 10) / 10 >= 1024) {
    scaled /= 1024;
    power++;
  }
  return `${Math.round(scaled * 10) / 10} ${BINARY_UNITS[power]}`;
}

/** In whole numbers throughout: 1.001 KB are 1001 bytes, where the product of doubles is a little less. NaN if not exact. */
function bytesOfText(text: string): number {
  const [, whole, fraction = '', unit] = /^\s*(\d+)(?:\.(\d+))?\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const scale = BYTES_OF_UNIT.get(unit?.toLowerCase() ?? '?');
  if (scale === undefined) return Number.NaN;
  const parts = 10n ** BigInt(fraction.length);
  const product = BigInt(`${whole}${fraction}`) * BigInt(scale);
  return product % parts === 0n ? Number(product / parts) : Number.NaN;
}
