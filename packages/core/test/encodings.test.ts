import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { PackedBytes } from '../src/contracts/packed-entries.js';
import { type DecodedBy, type Encoding, encodingFor, type OrderedValue } from '../src/encodings/index.js';
import { isPagewrightError } from '../src/errors.js';

const names = ['buffer', 'utf8', 'json', 'msgpack', 'ordered', 'u32', 'u64', 'f64'] as const;

/** Fails unless the action throws PW_ENCODING with the encoding's name, and says more than that. */
function expectRefusal(name: string, action: () => unknown): void {
  let error: unknown;
  try {
    error = `it returned ${String(action())}`;
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: 'PW_ENCODING', details: { encoding: name } });
  expect((error as Error).message).toMatch(new RegExp(`^Cannot (en|de)code as ${name}: .+\\. .+\\.$`, 's'));
}

function roundTrip<T>(encoding: Encoding<T>, value: T): T {
  return encoding.decode(encoding.encode(value));
}

/** Sign of a comparison of bytes. */
function compareBytes<T>(encoding: Encoding<T>, a: T, b: T): number {
  return Math.sign(Buffer.compare(encoding.encode(a), encoding.encode(b)));
}

/** Strings of characters that are told apart by one bit, by their length in UTF-8, or by being an end or an escape. */
const text = fc.oneof(
  fc.string({
    unit: fc.constantFrom(
      '\0',
      '\u0001',
      'a',
      'b',
      '\u007f',
      '\u0080',
      'é',
      '\u07ff',
      '\u0800',
      '\ufeff',
      '\uffff',
      '😀',
    ),
  }),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ unit: 'grapheme-ascii', minLength: 20, maxLength: 30 }),
);
const loneSurrogates = [
  '\ud800',
  '\udc00',
  'a\ud83d',
  '\ude00\ud83d',
  `${'x'.repeat(100)}\ud800`,
  `\udfff${'é'.repeat(30)}`,
];
const number = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, 1, -1, 0.5, -0.5, Number.MIN_VALUE, -Number.MIN_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE),
  fc.constantFrom(
    2 ** 31,
    2 ** 32,
    2 ** 53,
    -(2 ** 53),
    2 ** 63,
    256,
    65536,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ),
);

describe('every encoding', () => {
  const samples: { readonly [Name in (typeof names)[number]]: DecodedBy<Name>[] } = {
    buffer: [new Uint8Array(), Uint8Array.of(0, 255)],
    utf8: ['', 'key', 'é'.repeat(100)],
    json: [{ a: 1 }, 'text'],
    msgpack: [{ a: 1 }, 'text'],
    ordered: ['text', ['a', 1]],
    u32: [0, 7],
    u64: [0n, 7n],
    f64: [0, -7.5],
  };

  test.each(names)('%s makes plain Uint8Arrays that later calls do not change', (name) => {
    const encoding = encodingFor(name) as Encoding<unknown>;
    const made = samples[name].map((value) => encoding.encode(value));
    const copies = made.map((bytes) => Buffer.from(bytes));
    for (let i = 0; i < 3; i++) for (const value of [...samples[name]].reverse()) encoding.encode(value);
    for (const [i, bytes] of made.entries()) {
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
      expect(copies[i]!.equals(bytes)).toBe(true);
    }
    expect(samples[name].map((value) => roundTrip(encoding, value))).toEqual(samples[name]);
  });

  test.each(
    names.filter((name) => name !== 'json' && name !== 'msgpack'),
  )('%s refuses what is of another type', (name) => {
    const encoding = encodingFor(name) as Encoding<unknown>;
    for (const value of [undefined, Symbol('s'), () => 0, {}, new Map(), new Float64Array(1)]) {
      expectRefusal(name, () => encoding.encode(value));
    }
    if (name !== 'ordered')
      for (const value of [null, true, [], new Date(0)]) expectRefusal(name, () => encoding.encode(value));
  });

  test.each(names.filter((name) => name !== 'buffer'))('%s throws nothing but PW_ENCODING for any bytes', (name) => {
    const encoding = encodingFor(name) as Encoding<unknown>;
    const tag = fc.constantFrom(0, 0x10, 0x20, 0x21, 0x28, 0x30, 0x31, 0x40, 0x48, 0x50, 0x7f, 0x80, 0x81, 0xff);
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.array(tag, { maxLength: 12 }).map((each) => Uint8Array.from(each)),
    );
    fc.assert(
      fc.property(bytes, (each) => {
        try {
          encoding.decode(each);
        } catch (error) {
          expect(isPagewrightError(error, 'PW_ENCODING')).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('bytes whose memory is gone', () => {
  const transferred = new Uint8Array(3);
  structuredClone(transferred, { transfer: [transferred.buffer] });
  const resizable = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 16 }]) as ArrayBuffer & {
    resize(to: number): void;
  };
  const [beyond, emptyBeyond, empty] = [
    new Uint8Array(resizable, 8, 4),
    new Uint8Array(resizable, 12, 0),
    new Uint8Array(resizable, 8),
  ];
  resizable.resize(8);
  const custom = encodingFor({ encode: (value: Uint8Array) => value, decode: (bytes) => bytes });

  test.each([
    ['buffer', (bytes: Uint8Array) => encodingFor('buffer').encode(bytes)],
    ['custom', (bytes: Uint8Array) => custom.encode(bytes)],
    ['msgpack', (bytes: Uint8Array) => encodingFor('msgpack').encode(bytes)],
    ['msgpack', (bytes: Uint8Array) => encodingFor('msgpack').encode([{ in: { it: bytes } }])],
    ['ordered', (bytes: Uint8Array) => encodingFor('ordered').encode(bytes)],
    ['ordered', (bytes: Uint8Array) => encodingFor('ordered').encode(['in', bytes])],
  ])('%s does not take them for bytes of which there are none', (name, encode) => {
    for (const gone of [transferred, beyond, emptyBeyond]) expectRefusal(name, () => encode(gone));
    for (const none of [empty, new Uint8Array(0), new Uint8Array(new ArrayBuffer(4), 4)]) {
      expect(Buffer.from(encode(none))).toEqual(Buffer.from(encode(new Uint8Array(0))));
    }
  });
});

describe('buffer', () => {
  const buffer = encodingFor('buffer');

  test('bytes come back as they were given, whatever happens to the original', () => {
    const original = Buffer.from([1, 2, 3]);
    const bytes = buffer.encode(original);
    original.fill(9);
    expect(buffer.decode(bytes)).toEqual(Uint8Array.of(1, 2, 3));
  });

  test('strings are refused', () => {
    expectRefusal('buffer', () => buffer.encode('text' as never));
  });
});

describe('utf8', () => {
  const utf8 = encodingFor('utf8');

  test('every string without lone surrogates comes back, and sorts by code point', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(roundTrip(utf8, a)).toBe(a);
        expect(Buffer.from(a).equals(utf8.encode(a))).toBe(true);
        expect(compareBytes(utf8, a, b)).toBe(compareText(a, b));
      }),
      { numRuns: 1000 },
    );
  });

  test('strings of every length up to more than any buffer come back', () => {
    for (const length of [0, 1, 23, 24, 25, 100, 21_845, 21_846, 70_000]) {
      for (const unit of ['a', 'é', '€']) expect(roundTrip(utf8, unit.repeat(length))).toBe(unit.repeat(length));
    }
  });

  test('lone surrogates are refused, since they would come back as U+FFFD', () => {
    for (const value of loneSurrogates) expectRefusal('utf8', () => utf8.encode(value));
    expect(roundTrip(utf8, '\ufffd')).toBe('\ufffd');
  });

  test('bytes that are not UTF-8 are refused', () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
      expectRefusal('utf8', () => utf8.decode(Uint8Array.from(bytes)));
    }
  });

  test('numbers are refused', () => {
    expectRefusal('utf8', () => utf8.encode(5 as never));
  });
});

describe('json', () => {
  const json = encodingFor('json');

  test('what JSON has a form for comes back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(roundTrip(json, value)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    for (const value of loneSurrogates) expect(roundTrip(json, value)).toBe(value);
  });

  test('values without JSON, bigints and cycles are refused', () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    const values = [undefined, () => 0, Symbol('s'), 1n, { deep: [1n] }, cycle];
    for (const value of values) expectRefusal('json', () => json.encode(value));
    expectRefusal('json', () => json.decode(Buffer.from('{"a":')));
    expectRefusal('json', () => json.decode(new Uint8Array()));
  });
});

describe('msgpack', () => {
  const msgpack = encodingFor('msgpack');

  test('null, booleans, numbers, bigints, text, bytes, dates, arrays and plain objects come back', () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        fc.boolean(),
        number.filter((each) => !Object.is(each, -0)),
        fc.constant(Number.NaN),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
        text,
        fc.uint8Array(),
        fc.date({ noInvalidDate: true }),
        fc.array(tie('tree')),
        fc.dictionary(
          text.filter((key) => key !== '__proto__'),
          tie('tree'),
        ),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        expect(roundTrip(msgpack, value)).toEqual(value);
      }),
    );
  });

  test('properties that are undefined are left out', () => {
    expect(roundTrip(msgpack, { a: undefined, b: 1 })).toStrictEqual({ b: 1 });
  });

  test('whatever would come back as something else is refused, however deep', () => {
    class Point {
      x = 1;
    }
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const values = [
      undefined,
      [undefined],
      new Array(2),
      new Map([[1, 2]]),
      new Set([1]),
      /a/,
      new Error('e'),
      new Float64Array(2),
      new DataView(new ArrayBuffer(2)),
      new ArrayBuffer(2),
      new Point(),
      new Date(Number.NaN),
      Object(1),
      () => 0,
      Symbol('s'),
      2n ** 64n,
      -(2n ** 63n) - 1n,
      JSON.parse('{"__proto__": 1}'),
      { '\ud800': 1 },
      cycle,
      ...loneSurrogates,
    ];
    for (const value of values) {
      expectRefusal('msgpack', () => msgpack.encode(value));
      if (value !== undefined) expectRefusal('msgpack', () => msgpack.encode({ deep: value }));
      expectRefusal('msgpack', () => msgpack.encode([[value]]));
    }
    expect(roundTrip(msgpack, { still: 'works' })).toEqual({ still: 'works' });
  });

  test('bytes that are no value, or more than one, are refused', () => {
    for (const bytes of [[], [0xc1], [0x01, 0x02], [0x92, 0x01]]) {
      expectRefusal('msgpack', () => msgpack.decode(Uint8Array.from(bytes)));
    }
  });

  test('extensions that encode does not write are refused: other types, and dates that are none', () => {
    expectRefusal('msgpack', () => msgpack.decode(Uint8Array.of(0xd4, 0x05, 0x00)));
    const endless = Uint8Array.of(0xc7, 12, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 0);
    expectRefusal('msgpack', () => msgpack.decode(endless));
  });
});

describe('u32, u64 and f64', () => {
  const [u32, u64, f64] = [encodingFor('u32'), encodingFor('u64'), encodingFor('f64')];

  test('a u32 comes back, and sorts as a number', () => {
    const any = fc.oneof(fc.nat({ max: 2 ** 32 - 1 }), fc.constantFrom(0, 255, 256, 2 ** 31, 2 ** 32 - 1));
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(roundTrip(u32, a)).toBe(a);
        expect(compareBytes(u32, a, b)).toBe(Math.sign(a - b));
      }),
    );
  });

  test('a u64 comes back as a bigint, given as one or as a safe integer, and sorts as a number', () => {
    const any = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat({ max: 2 ** 40 }).map(BigInt));
    fc.assert(
      fc.property(any, any, fc.maxSafeNat(), (a, b, safe) => {
        expect(roundTrip(u64, a)).toBe(a);
        expect(compareBytes(u64, a, b)).toBe(a < b ? -1 : a > b ? 1 : 0);
        expect(u64.decode((u64 as Encoding<number | bigint>).encode(safe) as Uint8Array)).toBe(BigInt(safe));
      }),
    );
  });

  test('an f64 comes back, also -0, and sorts as a number, -0 before 0', () => {
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(roundTrip(f64, a)).toBe(a);
        expect(compareBytes(f64, a, b)).toBe(compareNumbers(a, b));
      }),
      { numRuns: 2000 },
    );
  });

  test('what is out of range, no whole number or NaN is refused', () => {
    for (const value of [-1, 0.5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY, 1n, '1']) {
      expectRefusal('u32', () => u32.encode(value as number));
    }
    for (const value of [-1n, 2n ** 64n, -1, 0.5, 2 ** 53, Number.NaN, '1']) {
      expectRefusal('u64', () => u64.encode(value as bigint));
    }
    for (const value of [Number.NaN, 1n, '1']) expectRefusal('f64', () => f64.encode(value as number));
  });

  test('bytes of another length are refused, and those of NaN', () => {
    for (const length of [0, 3, 5, 7, 9, 16]) {
      expectRefusal('u32', () => u32.decode(new Uint8Array(length)));
      expectRefusal('u64', () => u64.decode(new Uint8Array(length)));
      expectRefusal('f64', () => f64.decode(new Uint8Array(length)));
    }
    expectRefusal('f64', () => f64.decode(new Uint8Array(8).fill(0xff)));
    expectRefusal('f64', () => f64.decode(new Uint8Array(8)));
  });
});

describe('ordered', () => {
  const ordered = encodingFor('ordered');
  const { value } = fc.letrec<{ value: OrderedValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom(null, false, true),
      number,
      fc.oneof(
        fc.bigInt(),
        fc.constantFrom(
          0n,
          1n,
          -1n,
          255n,
          256n,
          -255n,
          -256n,
          2n ** 64n,
          -(2n ** 64n),
          2n ** 1016n - 1n,
          1n - 2n ** 1016n,
        ),
      ),
      fc.oneof(
        fc.date({ noInvalidDate: true }),
        fc.constantFrom(new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15)),
      ),
      text,
      fc.oneof(
        fc.uint8Array(),
        fc.array(fc.constantFrom(0, 1, 0xff)).map((bytes) => Uint8Array.from(bytes)),
      ),
      fc.array(tie('value'), { maxLength: 4 }),
    ),
  }));
  /** Two values that often differ late: the second is the first with one change. */
  const pair = fc.oneof(
    fc.tuple(value, value),
    fc
      .tuple(fc.array(value, { maxLength: 3 }), value, fc.array(value, { maxLength: 2 }), value)
      .map(([head, a, tail, b]): [OrderedValue, OrderedValue] => [
        [...head, a, ...tail],
        [...head, b, ...tail],
      ]),
    fc.tuple(text, text, text).map(([head, a, b]): [OrderedValue, OrderedValue] => [
      [head + a, 1],
      [head + b, 1],
    ]),
  );

  test('every value comes back as it was', () => {
    fc.assert(
      fc.property(value, (each) => {
        expect(roundTrip(ordered, each)).toStrictEqual(each);
      }),
      { numRuns: 3000 },
    );
  });

  test('bytes sort as values do', () => {
    fc.assert(
      fc.property(pair, ([a, b]) => {
        expect(compareBytes(ordered, a, b)).toBe(compareOrdered(a, b));
      }),
      {
        numRuns: 10_000,
      },
    );
  });

  test('tuples with the same beginning lie together, between it and what comes after it', () => {
    const sorted: OrderedValue[] = [
      null,
      false,
      true,
      Number.NEGATIVE_INFINITY,
      -1,
      -0,
      0,
      1,
      1.5,
      2,
      10,
      Number.POSITIVE_INFINITY,
      -1n,
      0n,
      1n,
      new Date(-1),
      new Date(0),
      '',
      '\0',
      '\0\0',
      '\u0001',
      'a',
      'a\0',
      'aa',
      'b',
      '\uffff',
      '😀',
      new Uint8Array(),
      Uint8Array.of(0),
      Uint8Array.of(0, 0),
      Uint8Array.of(1),
      [],
      [null],
      [null, null],
      [1],
      ['a'],
      ['a', null],
      ['a', 1],
      ['a', 1, 0],
      ['a', 'a'],
      ['a', []],
      ['a\0'],
      ['aa'],
      ['b'],
      [[]],
      [[], []],
      [[[]]],
    ];
    const shuffled = [...sorted].reverse().sort((a, b) => compareBytes(ordered, a, b));
    expect(shuffled).toStrictEqual(sorted);
  });

  test('common keys are small', () => {
    const sizes = ([null, 0, 1, 1000, 'user', ['user', 7], [[[]]]] as OrderedValue[]).map(
      (each) => ordered.encode(each).length,
    );
    expect(sizes).toEqual([1, 1, 3, 4, 5, 10, 3]);
  });

  test('what has no place in the order is refused, with the place where it stands', () => {
    let deep: OrderedValue = [];
    for (let i = 0; i < 64; i++) deep = [deep];
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const values = [
      Number.NaN,
      undefined,
      {},
      Symbol('s'),
      new Date(Number.NaN),
      2n ** 1016n,
      -(2n ** 1016n),
      deep,
      cycle,
      ...loneSurrogates,
    ];
    for (const each of values) {
      expectRefusal('ordered', () => ordered.encode(each as OrderedValue));
      expectRefusal('ordered', () => ordered.encode(['a', each as OrderedValue]));
    }
    expectRefusal('ordered', () => ordered.decode(new Uint8Array(66).fill(0x50)));
    expect(() => ordered.encode(['a', ['b', Number.NaN]])).toThrow('[1][1]');
    expect(() => ordered.encode(new Array(2) as OrderedValue)).toThrow('[0]');
    expect(roundTrip(ordered, ['still', 'works'])).toEqual(['still', 'works']);
  });

  test('bytes that encode does not make are refused, so that no two keys decode to the same value', () => {
    const cases: readonly (readonly [string, ...number[]])[] = [
      ['a terminator at the end of text', 0x40, 0x61, 0x00],
      ['a terminator at the end of an array', 0x50, 0x10, 0x00],
      ['zeros at the end of a number', 0x21, 0x40, 0x00, 0xff, 0x00, 0xff],
      ['a negative number as one that is not', 0x21, 0xc0],
      ['a number that is not negative as a negative one', 0x20, 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      ['a bigint with a zero before it', 0x28, 0x82, 0x00, 0x07],
      ['a negative bigint with a zero before it', 0x28, 0x7e, 0xff, 0xf8],
      ['a bigint of 128 bytes', 0x28, 0x00, ...new Array<number>(128).fill(0xf0)],
      ['a date between two milliseconds', 0x31, 0x3f, 0xe0],
      ['a date of -0', 0x30, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    for (const [what, ...bytes] of cases) {
      let found: unknown = 'nothing';
      try {
        found = ordered.decode(Uint8Array.from(bytes));
      } catch {}
      expect(found, what).toBe('nothing');
      expectRefusal('ordered', () => ordered.decode(Uint8Array.from(bytes)));
    }
  });

  test('a value whose parts encode other values meanwhile is not disturbed', () => {
    const intruding = ['a', 'b'];
    Object.defineProperty(intruding, 1, {
      get: () => String(ordered.encode(['x'.repeat(500)]).length),
      enumerable: true,
    });
    expect(roundTrip(ordered, intruding)).toEqual(['a', '502']);
  });
});

describe('custom encodings', () => {
  test('what is made is checked and copied, and the name is kept', () => {
    const shared = Buffer.from('abc');
    const custom = encodingFor({ name: 'mine', encode: () => shared, decode: (bytes) => bytes.length });
    const bytes = custom.encode(5);
    shared.fill(0);
    expect(custom.name).toBe('mine');
    expect(bytes).toEqual(Uint8Array.from(Buffer.from('abc')));
    expect(custom.decode(bytes)).toBe(3);
    expect(encodingFor({ encode: () => shared, decode: () => 0 }).name).toBe('custom');
  });

  test('methods see their own object', () => {
    class Caesar {
      readonly shift = 3;
      encode(value: string) {
        return Uint8Array.from(Buffer.from(value), (byte) => byte + this.shift);
      }
      decode(bytes: Uint8Array) {
        return String.fromCharCode(...bytes.map((byte) => byte - this.shift));
      }
    }
    expect(roundTrip(encodingFor(new Caesar()), 'abc')).toBe('abc');
  });

  test('what it throws or returns wrongly is PW_ENCODING with the cause', () => {
    const cause = new Error('no');
    const fail = (): never => {
      throw cause;
    };
    const failing = encodingFor({ name: 'mine', encode: fail, decode: (): number => fail() });
    expectRefusal('mine', () => failing.encode(1));
    expectRefusal('mine', () => failing.decode(new Uint8Array()));
    expect(() => failing.encode(1)).toThrow(expect.objectContaining({ cause }));
    const wrong = encodingFor({ name: 'mine', encode: () => 'text' as never, decode: () => 0 });
    expectRefusal('mine', () => wrong.encode(1));
  });

  test('names of our own cannot be taken, and what is no encoding is PW_ARGUMENT', () => {
    const good = { encode: () => new Uint8Array(), decode: () => 0 };
    const specs = [
      { ...good, name: 'utf8' },
      { ...good, name: '' },
      { ...good, name: 5 },
      { ...good, decode: 1 },
      {},
      null,
      undefined,
      'utf-8',
      'toString',
      '__proto__',
      7,
    ];
    for (const spec of specs) {
      expect(() => encodingFor(spec as never)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
    }
  });
});

test('the type of keys and values follows from the encoding', () => {
  expectTypeOf<DecodedBy<'utf8'>>().toEqualTypeOf<string>();
  expectTypeOf<DecodedBy<'u64'>>().toEqualTypeOf<bigint>();
  expectTypeOf<DecodedBy<'f64' | 'u32'>>().toEqualTypeOf<number>();
  expectTypeOf<DecodedBy<'ordered'>>().toEqualTypeOf<OrderedValue>();
  expectTypeOf<DecodedBy<'json'>>().toBeUnknown();
  const custom = { encode: (value: Date) => Buffer.from(value.toJSON()), decode: () => new Date(0) };
  expectTypeOf(encodingFor(custom)).toEqualTypeOf<Encoding<Date>>();
  expectTypeOf(encodingFor('buffer')).toEqualTypeOf<Encoding<Uint8Array>>();
});

// The documented order, written down a second time.

function compareNumbers(a: number, b: number): number {
  if (a === 0 && b === 0) return Math.sign(Number(Object.is(b, -0)) - Number(Object.is(a, -0)));
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareText(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  return compareLists(left, right, (x, y) => Math.sign(x.codePointAt(0)! - y.codePointAt(0)!));
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compare(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return Math.sign(a.length - b.length);
}

function compareOrdered(a: OrderedValue, b: OrderedValue): number {
  const [left, right] = [rankOf(a), rankOf(b)];
  if (left !== right) return Math.sign(left - right);
  if (typeof a === 'number') return compareNumbers(a, b as number);
  if (typeof a === 'string') return compareText(a, b as string);
  if (a instanceof Date) return Math.sign(a.getTime() - (b as Date).getTime());
  if (a instanceof Uint8Array) return Math.sign(Buffer.compare(a, b as Uint8Array));
  if (Array.isArray(a)) return compareLists<OrderedValue>(a, b as readonly OrderedValue[], compareOrdered);
  if (a === null || b === null) return 0;
  return a < b ? -1 : a > b ? 1 : 0;
}

function rankOf(value: OrderedValue): number {
  const types = ['null', 'boolean', 'number', 'bigint', 'date', 'string', 'bytes', 'array'];
  if (value === null) return types.indexOf('null');
  if (Array.isArray(value)) return types.indexOf('array');
  if (value instanceof Uint8Array) return types.indexOf('bytes');
  if (value instanceof Date) return types.indexOf('date');
  return types.indexOf(typeof value);
}

describe('borrowed bytes', () => {
  const samples = {
    utf8: ['', 'a', 'key/0001', '0'.repeat(24), '0'.repeat(25), 'é', 'a\u{1f600}', '\x7f', '\x80', 'é'.repeat(900)],
    u32: [0, 1, 2 ** 31, 2 ** 32 - 1],
    u64: [0n, 1n, 2n ** 53n, 2n ** 64n - 1n],
    f64: [0, -0, 1.5, -1.5, Number.NEGATIVE_INFINITY, Number.MAX_VALUE],
  };
  test.each(Object.keys(samples) as (keyof typeof samples)[])('of %s are those that encode makes, or none', (name) => {
    const encoding = encodingFor(name) as Encoding<unknown>;
    for (const value of samples[name]) {
      const borrowed = encoding.borrow?.(value) ?? null;
      expect(Buffer.from(borrowed ?? []), String(value)).toEqual(Buffer.from(encoding.encode(value)));
    }
    for (const value of [undefined, null, {}, Number.NaN, -1n]) expect(encoding.borrow?.(value) ?? null).toBeNull();
  });

  test('are there until the next call, and no longer', () => {
    const utf8 = encodingFor('utf8');
    const first = utf8.borrow!('abc')!;
    expect(utf8.borrow!('abd')).toBe(first);
    expect(utf8.encode('abc')).not.toBe(first);
    const long = utf8.borrow!('long'.repeat(10))!;
    expect(long).toHaveLength(40);
    utf8.borrow!('else'.repeat(10));
    expect(Buffer.from(long).toString()).toBe('else'.repeat(10));
  });

  test('are none of text without bytes, or with very many', () => {
    const utf8 = encodingFor('utf8');
    for (const value of [...loneSurrogates, 'x'.repeat(100_000)]) expect(utf8.borrow!(value)).toBeNull();
  });
});

describe('packed bytes', () => {
  const samples = {
    utf8: ['', 'a', 'key/0001', '0'.repeat(70), 'x'.repeat(70_000)],
    u32: [0, 1, 2 ** 31, 2 ** 32 - 1],
    u64: [0n, 1n, 2n ** 53n, 2n ** 64n - 1n],
    f64: [0, -0, 1.5, -1.5, Number.NEGATIVE_INFINITY, Number.MAX_VALUE],
  };

  function packedBytes(all: readonly Uint8Array[]): PackedBytes {
    const packed = new PackedBytes();
    // What stands before and between them is not theirs.
    const gap = Buffer.from('\xff\x80?', 'latin1');
    let end = 0;
    for (const [at, bytes] of all.entries()) {
      packed.starts[at] = end + gap.length;
      packed.ends[at] = end + gap.length + bytes.length;
      end += gap.length + bytes.length;
    }
    packed.begin(Uint8Array.from(Buffer.concat(all.flatMap((bytes) => [gap, bytes]))), all.length);
    return packed;
  }

  test.each(Object.keys(samples) as (keyof typeof samples)[])('of %s are decoded as if they stood alone', (name) => {
    const encoding = encodingFor(name) as Encoding<unknown>;
    const others: unknown[] = name === 'utf8' ? ['é', 'a\u{1f600}', '\x7f', '\x80', '\ufeff'] : [];
    for (const values of [samples[name], samples[name].slice(0, 1), [...samples[name], ...others]]) {
      const packed = packedBytes(values.map((value) => encoding.encode(value)));
      for (const [at, value] of values.entries()) expect(encoding.decodePacked!(packed, at)).toEqual(value);
    }
  });

  test('as text come from where they begin, not from what stands between them', () => {
    const packed = new PackedBytes();
    packed.starts.push(2, 4, 9);
    packed.ends.push(4, 7, 9);
    packed.begin(Uint8Array.from(Buffer.from('--abcde--fg')), 3);
    expect([0, 1, 2].map((at) => packed.asciiAt(at))).toEqual(['ab', 'cde', '']);
    packed.begin(Uint8Array.from(Buffer.from('--xyzzy--')), 2);
    expect([0, 1].map((at) => packed.asciiAt(at))).toEqual(['xy', 'zzy']);
  });

  test.each([
    ['u32', [0, 0, 0]],
    ['u64', [0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['f64', [1, 2]],
    ['f64', [255, 248, 0, 0, 0, 0, 0, 0]],
    ['utf8', [0xc3]],
  ] as const)('that are no %s are refused', (name, wrong) => {
    const encoding = encodingFor(name) as Encoding<unknown>;
    const good = encoding.encode(name === 'u64' ? 1n : name === 'utf8' ? 'a' : 1);
    const packed = packedBytes([good, Uint8Array.from(wrong), good]);
    expectRefusal(name, () => encoding.decodePacked!(packed, 1));
    expect(encoding.decodePacked!(packed, 2)).toEqual(encoding.decode(good));
  });
});
