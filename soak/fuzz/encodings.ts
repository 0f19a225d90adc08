/**
 * Keys and values that come back from pages. Bytes decode to a value or are refused, and never to a value that other bytes
 * stand for: what is decoded, encoded again, gives the same bytes, where the encoding has one form for each value.
 */
import { type EncodingName, encodingFor, type OrderedValue } from '@pagewright/core';
import { assertSurroundingsUntouched, type FuzzTarget, type Random, surrounded } from '@pagewright/testkit';
import { expectSame, expectThat, sameBytes } from './agreement.js';

/** Encodings of which each value has one form. JSON and MessagePack take other spellings as well. */
const EXACT: ReadonlySet<EncodingName> = new Set(['ordered', 'utf8', 'u32', 'u64', 'f64', 'buffer']);

/** Values that the damaged bytes are made of. */
const VALUES: { readonly [Name in EncodingName]?: (random: Random) => unknown } = {
  ordered: (random) => orderedValue(random, 0),
  utf8: text,
  json: (random) => plainValue(random, 0),
  msgpack: (random) => plainValue(random, 0, true),
  u32: (random) => random.below(2 ** 32),
  u64: (random) => BigInt(random.below(2 ** 32)) * BigInt(random.between(1, 2 ** 31)),
  f64: (random) => (random.fraction() - 0.5) * 10 ** random.between(-300, 300),
};

/** The library that reads MessagePack takes text that is not UTF-8 for some other text, as it takes any other damage of text. */
const NOT_TOLD = 'lone surrogate';

const SEEDS = 24;

/** One target for each encoding that has anything to decode. */
export const encodings: readonly FuzzTarget<EncodingName>[] = Object.entries(VALUES).map(([name, make]) =>
  targetOf(name as EncodingName, make),
);

function targetOf(name: EncodingName, make: (random: Random) => unknown): FuzzTarget<EncodingName> {
  const encoding = encodingFor(name);
  const recode = (bytes: Uint8Array, value: unknown): void => {
    let again: Uint8Array;
    try {
      again = encoding.encode(value as never);
    } catch (cause) {
      if (name === 'msgpack' && (cause as Error).message.includes(NOT_TOLD)) return;
      throw new Error(`bytes decode to what is no value: ${(cause as Error).message}`, { cause });
    }
    if (EXACT.has(name)) expectThat(sameBytes(again, bytes), 'other bytes decode to the same value');
  };
  return {
    name: `encoding ${name}`,
    resizes: true,
    refusals: new Set(['PW_ENCODING']),
    seeds: (random) =>
      Array.from({ length: SEEDS }, () => ({ bytes: encoding.encode(make(random) as never), context: name })),
    run(bytes) {
      const value = decode(bytes, 0);
      expectSame(decode(bytes, 1), value, 'what lies around the bytes changes the value');
      recode(bytes, value);
      return 'decoded';
    },
  };

  function decode(bytes: Uint8Array, pattern: 0 | 1): unknown {
    const view = surrounded(bytes, pattern);
    const value = encoding.decode(view);
    assertSurroundingsUntouched(view, pattern);
    return value;
  }
}

const MOST_DEPTH = 3;

function orderedValue(random: Random, depth: number): OrderedValue {
  switch (random.below(depth < MOST_DEPTH ? 12 : 9)) {
    case 0:
      return null;
    case 1:
      return random.chance(0.5);
    case 2:
      return (random.fraction() - 0.5) * 10 ** random.between(-300, 300);
    case 3:
      return random.between(-1000, 1000);
    case 4:
      return BigInt(random.between(-(2 ** 40), 2 ** 40)) ** BigInt(random.between(1, 3));
    case 5:
      return new Date(random.between(-(10 ** 12), 10 ** 12));
    case 6:
    case 7:
      return text(random);
    case 8:
      return Uint8Array.from({ length: random.below(12) }, () => (random.chance(0.3) ? 0 : random.below(256)));
    default:
      return Array.from({ length: random.below(5) }, () => orderedValue(random, depth + 1));
  }
}

function plainValue(random: Random, depth: number, withBytes = false): unknown {
  const kind = random.below(depth < MOST_DEPTH ? 8 : 5);
  if (kind === 0) return random.pick([null, true, false]);
  if (kind === 1) return random.between(-(2 ** 40), 2 ** 40);
  if (kind === 2) return random.fraction() * 1000;
  if (kind === 3) return text(random);
  if (kind === 4)
    return withBytes ? random.pick([random.fill(new Uint8Array(random.below(20))), 2n ** 60n, new Date(1e12)]) : 'text';
  if (kind < 7) return Array.from({ length: random.below(6) }, () => plainValue(random, depth + 1, withBytes));
  return Object.fromEntries(
    Array.from({ length: random.below(6) }, (_, i) => [`key ${i}`, plainValue(random, depth + 1, withBytes)]),
  );
}

function text(random: Random): string {
  const characters = ['a', 'Z', ' ', '\0', 'é', '漢', '\u{1f600}', '\ufeff', '"', '\\'];
  return Array.from({ length: random.below(30) }, () => random.pick(characters)).join('');
}
