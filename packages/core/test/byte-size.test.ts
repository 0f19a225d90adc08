import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatByteSize, parseByteSize } from '../src/byte-size.js';

test.each([
  [4096, 4096],
  [0, 0],
  ['4096', 4096],
  ['12B', 12],
  ['16KiB', 16_384],
  ['1.5MiB', 1_572_864],
  ['64MB', 64_000_000],
  ['1GiB', 2 ** 30],
  ['2TiB', 2 ** 41],
  ['1kb', 1000],
  ['1.001 KB', 1001],
  [' 3 gb ', 3e9],
  ['1TB', 1e12],
])('%j are %d bytes', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes);
});

test.each([
  '',
  ' ',
  'MiB',
  '-1',
  '-1KiB',
  '1.5',
  '1.5B',
  '0.3KiB',
  '1e3',
  '0x10',
  '1,5MiB',
  '1.MiB',
  '.5MiB',
  '1 M',
  '1MiBs',
  '1Mbit',
  '9999999TiB',
  'Infinity',
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
])('%j is PW_OPTION_INVALID', (value) => {
  expect(() => parseByteSize(value)).toThrow(
    expect.objectContaining({ code: 'PW_OPTION_INVALID', details: { value } }),
  );
});

test.each([null, undefined, {}, [], true, 5n])('what is neither text nor number is PW_OPTION_INVALID: %s', (value) => {
  expect(() => parseByteSize(value as never)).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
});

test.each([
  [0, '0 B'],
  [1, '1 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [1_048_575, '1 MiB'],
  [64 << 20, '64 MiB'],
  [3 * 2 ** 40, '3 TiB'],
  [2 ** 52, '4096 TiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatByteSize(bytes)).toBe(text);
});

test('what is formatted is within a twentieth of what it says', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (bytes) => {
      const [amount, unit] = formatByteSize(bytes).split(' ');
      const scale = 1024 ** ['B', 'KiB', 'MiB', 'GiB', 'TiB'].indexOf(unit!);
      expect(Math.abs(Number(amount) * scale - bytes)).toBeLessThanOrEqual(scale * 0.050_001);
    }),
  );
});
