/** The tree against a sorted list: any keys, any values, on a store that moves and evicts whatever it may. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkTree, type ModelTree, memoryTree, valueBytes } from './model.js';

const PAGE_SIZES = [4096, 8192, 16384, 32768, 65536];

/** Keys of many shapes. Some are drawn from few, so that they meet again. */
function keys(pageSize: number): fc.Arbitrary<string> {
  const longest = pageSize / 4;
  const binary = (min: number, max: number) =>
    fc.uint8Array({ minLength: min, maxLength: max }).map((b) => Buffer.from(b).toString('latin1'));
  const extreme = fc
    .array(fc.constantFrom('\x00', '\x01', '\xfe', '\xff'), { minLength: 1, maxLength: 9 })
    .map((parts) => parts.join(''));
  return fc.oneof(
    { weight: 4, arbitrary: binary(1, 3) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 5000 }).map((n) => String(n).padStart(8, '0')) },
    {
      weight: 3,
      arbitrary: fc.tuple(fc.constantFrom('users/', 'users/eu/', 'zebra'), binary(0, 12)).map((p) => p.join('')),
    },
    {
      weight: 3,
      arbitrary: fc.integer({ min: 0, max: 200 }).map((n) => 'a/very/long/path/that/all/of/them/share/'.repeat(2) + n),
    },
    { weight: 2, arbitrary: extreme },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 60 }).map((n) => 'x'.repeat(n)) },
    { weight: 1, arbitrary: binary(1, 40) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('', 'p', '\x00', '\xff'), fc.integer({ min: 0, max: 999 }), fc.boolean())
        .map(([first, n, atEnd]) => {
          const filling = 'k'.repeat(longest - first.length - 3);
          const number = String(n).padStart(3, '0');
          return atEnd ? first + filling + number : first + number + filling;
        }),
    },
  );
}

function valueLengths(pageSize: number): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant(0) },
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 60 }) },
    { weight: 3, arbitrary: fc.integer({ min: 60, max: pageSize >>> 3 }) },
    { weight: 1, arbitrary: fc.integer({ min: pageSize >>> 3, max: pageSize >>> 2 }) },
    { weight: 1, arbitrary: fc.integer({ min: pageSize >>> 2, max: 3 * pageSize }) },
  );
}

type Step =
  | { readonly kind: 'put'; readonly key: string; readonly length: number; readonly seed: number }
  | { readonly kind: 'remove'; readonly key: string }
  | { readonly kind: 'removeNear'; readonly at: number; readonly count: number }
  | { readonly kind: 'get'; readonly key: string }
  | {
      readonly kind: 'scan';
      readonly from: string | null;
      readonly exclusive: boolean;
      readonly reverse: boolean;
      readonly limit: number;
    }
  | {
      readonly kind: 'run';
      readonly from: string;
      readonly count: number;
      readonly down: boolean;
      readonly length: number;
    };

function steps(pageSize: number): fc.Arbitrary<Step> {
  const key = keys(pageSize);
  return fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constant('put' as const),
        key,
        length: valueLengths(pageSize),
        seed: fc.nat(255),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), key }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('removeNear' as const),
        at: fc.nat(10000),
        count: fc.integer({ min: 1, max: 40 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('get' as const), key }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('scan' as const),
        from: fc.option(key),
        exclusive: fc.boolean(),
        reverse: fc.boolean(),
        limit: fc.integer({ min: 1, max: 50 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('run' as const),
        from: fc.constantFrom('', 'users/', 'm', '\x00\x00', '\xff'),
        count: fc.integer({ min: 1, max: 60 }),
        down: fc.boolean(),
        length: valueLengths(pageSize),
      }),
    },
  );
}

function take(tree: ModelTree, step: Step): void {
  switch (step.kind) {
    case 'put':
      tree.put(step.key, step.seed, valueBytes(step.seed, step.length));
      tree.expectEntry(step.key);
      return;
    case 'remove':
      tree.remove(step.key);
      tree.expectEntry(step.key);
      return;
    case 'removeNear': {
      const { sorted } = tree;
      const at = sorted.length === 0 ? 0 : step.at % sorted.length;
      for (const key of sorted.slice(at, at + step.count)) tree.remove(key);
      return;
    }
    case 'get':
      tree.expectEntry(step.key);
      return;
    case 'scan':
      tree.expectScan(step.from, step.exclusive, step.reverse, step.limit, 120);
      return;
    case 'run':
      for (let i = 0; i < step.count; i++) {
        const number = step.down ? 100 - i : i;
        tree.put(`${step.from}run${String(number).padStart(4, '0')}`, 0, valueBytes(i, step.length));
      }
  }
}

describe('the tree and a sorted list agree', () => {
  for (const pageSize of PAGE_SIZES) {
    it(`on pages of ${pageSize} bytes, whatever is put, removed and scanned, on a hostile store`, () => {
      const hostile = fc.record({
        seed: fc.integer(),
        relocate: fc.constantFrom(0, 0.05, 0.3),
        evict: fc.constantFrom(0, 0.05, 0.3),
        interfere: fc.constantFrom(0, 0.02, 0.5),
        tear: fc.constantFrom(0, 0.02, 0.3),
      });
      fc.assert(
        fc.property(
          fc.array(steps(pageSize), { minLength: 1, maxLength: 150, size: 'max' }),
          hostile,
          (list, options) => {
            const tree = memoryTree({ ...options, pageSize, frames: 8192 });
            for (const step of list) take(tree, step);
            tree.expectWhole();
            for (const key of [...tree.sorted]) tree.remove(key);
            tree.expectWhole();
            expect(tree.index.stats().height).toBe(1);
          },
        ),
        { numRuns: pageSize === 4096 ? 60 : 12 },
      );
    });
  }
});

it('checks nothing wrong on an empty tree', () => {
  const tree = memoryTree();
  expect(checkTree(tree.index, tree.pages)).toEqual([]);
  expect(tree.index.stats().height).toBe(1);
});
