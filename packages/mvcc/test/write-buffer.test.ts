/** What a transaction has written is what a map would have, in order, whatever is replaced, rolled back and asked for in between. */
import { createHash } from 'node:crypto';
import { decodeOperations, OPERATION_DELETE, type Target } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sortByKey } from '../src/key-sort.js';
import { SpareMemory, WriteBuffer } from '../src/write-buffer.js';
import { WriteMemory } from '../src/write-memory.js';

const targets = [7, 300, 2].map((number) => ({ number, name: `index ${number}` }) as Target);

/** Few different bytes and lengths, so that keys begin alike, end in zeros, and come again. */
const key = fc.oneof(
  fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 1, maxLength: 40 }).map((bytes) => Uint8Array.from(bytes)),
  fc.integer({ min: 0, max: 2000 }).map((number) => new TextEncoder().encode(String(number).padStart(16, '0'))),
  fc.uint8Array({ minLength: 1, maxLength: 200 }),
);

describe('the write buffer', () => {
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.record({ do: fc.constant('set' as const), of: fc.nat(2), key, size: fc.nat(300) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), of: fc.nat(2), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('savepoint' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('rollback' as const), to: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('look' as const), of: fc.nat(2) }) },
  );

  test('has what a map has', () => {
    const spare = new SpareMemory();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
        const buffer = new WriteBuffer(1 << 20, spare);
        let model = new Map<string, Uint8Array | null>();
        const savepoints: { id: number; model: typeof model }[] = [];
        let filler = 0;
        for (const each of steps) {
          if (each.do === 'set' || each.do === 'delete') {
            const value = each.do === 'set' ? new Uint8Array(each.size).fill(++filler) : null;
            buffer.set(targets[each.of]!, each.key, value);
            model.set(nameOf(each.of, each.key), value);
          } else if (each.do === 'savepoint') {
            savepoints.push({ id: buffer.savepoint(), model: new Map(model) });
          } else if (each.do === 'rollback') {
            const savepoint = savepoints[savepoints.length - 1 - each.to];
            if (savepoint === undefined) continue;
            savepoints.length -= each.to;
            buffer.rollbackTo(savepoint.id);
            model = new Map(savepoint.model);
          } else {
            expect(ownOf(buffer, each.of)).toEqual(inOrder(model, each.of));
          }
        }
        const hasWhatIsCounted = (): void => {
          expect(buffer.count).toBe(model.size);
          expect(buffer.bytes).toBe(bytesOf(model));
        };
        const isEncodedInOrder = (): void => {
          expect(buffer.hasChanges).toBe(model.size > 0);
          if (model.size === 0) return;
          expect(encodedOf(buffer)).toEqual([2, 0, 1].flatMap((of) => inOrder(model, of)));
          expect(buffer.encode().bytes).toBe(bytesOf(model));
        };
        const isSeenInOrder = (): void => {
          for (let of = 0; of < targets.length; of++) expect(ownOf(buffer, of)).toEqual(inOrder(model, of));
        };
        // Whichever comes first meets changes of one key that nobody has looked for yet.
        const checks = [hasWhatIsCounted, isEncodedInOrder, isSeenInOrder];
        for (let i = 0; i < checks.length; i++) checks[(steps.length + i) % checks.length]!();
        for (const [name, value] of model) {
          const [of, ...rest] = Buffer.from(name, 'latin1');
          const entry = buffer.find(targets[of!]!, Uint8Array.from(rest));
          expect(buffer.deletes(entry)).toBe(value === null);
          if (value !== null) expect(buffer.valueOf(entry)).toEqual(value);
        }
        buffer.release();
        expect([buffer.count, buffer.bytes, buffer.ownOf(targets[0]!)]).toEqual([0, 0, null]);
      }),
      { numRuns: 60 },
    );
  });

  test('refuses more than it may have, and changes nothing then', () => {
    const buffer = new WriteBuffer(100, new SpareMemory());
    buffer.set(targets[0]!, Uint8Array.of(1), new Uint8Array(90));
    expect(() => buffer.set(targets[0]!, Uint8Array.of(2), new Uint8Array(20))).toThrow(
      /would write 112 bytes; at most 100/,
    );
    expect([buffer.count, buffer.bytes]).toEqual([1, 91]);
    buffer.set(targets[0]!, Uint8Array.of(1), new Uint8Array(20));
    buffer.set(targets[0]!, Uint8Array.of(2), new Uint8Array(20));
    expect([buffer.count, buffer.bytes]).toEqual([2, 42]);
  });

  test('encodes many changes of several indexes in their order', () => {
    const random = new Random(20_261_121);
    const buffer = new WriteBuffer(1 << 30, new SpareMemory());
    const model = new Map<string, Uint8Array | null>();
    for (let i = 0; i < 60_000; i++) {
      const of = random.below(3);
      const bytes = Uint8Array.from(Buffer.from(String(random.below(1e6)).padStart(10, '0')));
      const value = random.chance(0.1) ? null : new Uint8Array(random.below(random.chance(0.01) ? 3000 : 60)).fill(i);
      buffer.set(targets[of]!, bytes, value);
      model.set(nameOf(of, bytes), value);
    }
    const wanted = [2, 0, 1].flatMap((of) => inOrder(model, of));
    expect(wanted.length).toBeGreaterThan(50_000);
    expect(digestOf(encodedOf(buffer))).toBe(digestOf(wanted));
  });

  test('does not grow when the same keys are written again and again', () => {
    const buffer = new WriteBuffer(1 << 20, new SpareMemory());
    for (let round = 0; round < 20_000; round++) {
      buffer.set(targets[0]!, Uint8Array.of(round % 50), new Uint8Array(10 + (round % 90)).fill(round));
    }
    expect(ownOf(buffer, 0).length).toBe(50);
    const { encoded, replaced } = buffer.held!;
    expect(encoded + replaced).toBeLessThan(200_000);
  });
});

describe('memory of the write buffer does not grow', () => {
  const target = targets[0]!;

  test.each([1, 2, 3, 50, 3000])('with changes of %i keys, whatever these are', (many) => {
    for (let name = 0; name < 20; name++) {
      const buffer = new WriteBuffer(1 << 30, new SpareMemory());
      for (let i = 0; i < 100_000; i++) buffer.set(target, Buffer.from(`${name}/${i % many}`), new Uint8Array(8));
      const { encoded, replaced, count } = buffer.held!;
      expect(encoded + replaced, `name ${name}`).toBeLessThan(600_000);
      expect(count, `name ${name}`).toBeLessThan(30_000);
    }
  });

  test.each([
    ['is scanned', (buffer: WriteBuffer) => void buffer.ownOf(target)],
    ['is encoded', (buffer: WriteBuffer) => void buffer.encode()],
  ])('where it %s between changes of the same key', (_what, look) => {
    const buffer = new WriteBuffer(1 << 30, new SpareMemory());
    for (let i = 0; i < 2000; i++) {
      buffer.set(target, Uint8Array.of(7), new Uint8Array(5000).fill(i));
      look(buffer);
    }
    const { encoded, replaced } = buffer.held!;
    expect(encoded + replaced).toBeLessThan(200_000);
    expect(ownOf(buffer, 0).map(([, , value]) => value)).toEqual([hexOf(new Uint8Array(5000).fill(1999))]);
  });

  test('by what a large transaction that was given up has left', () => {
    const spare = new SpareMemory();
    const buffer = new WriteBuffer(1 << 30, spare);
    for (let i = 0; i < 1000; i++) buffer.set(target, Buffer.from(`${i}`), null);
    const large = buffer.held;
    buffer.release();
    expect(spare.take()).not.toBe(large);
    const small = spare.take();
    spare.give(small);
    expect(spare.take()).toBe(small);
  });
});

describe('the order of keys', () => {
  test('is that of Buffer.compare, for many and few, long and short, and such as end in zeros', () => {
    const keys = fc.oneof(
      fc.uniqueArray(key, { selector: textOf, minLength: 2, maxLength: 300, size: 'max' }),
      fc.integer({ min: 30, max: 120 }).map((count) => Array.from({ length: count }, (_, i) => new Uint8Array(i + 1))),
      fc
        .uniqueArray(fc.integer({ min: 0, max: 1e6 }), { minLength: 30, maxLength: 500, size: 'max' })
        .map((numbers) => numbers.map((number) => new TextEncoder().encode(`/a/long/path/that/all/have/${number}/x`))),
    );
    fc.assert(
      fc.property(keys, (all) => {
        const memory = new WriteMemory();
        const shuffled = all.map((each, i) => ({ each, at: (i * 7919) % 104_729 })).sort((a, b) => a.at - b.at);
        for (const { each } of shuffled) memory.add(0, 1, each, 0, null);
        const entries = Uint32Array.from(all.keys());
        sortByKey(memory, entries);
        const sorted = [...all].sort(Buffer.compare).map(textOf);
        expect([...entries].map((entry) => textOf(memory.keyOf(entry)))).toEqual(sorted);
      }),
      { numRuns: 100 },
    );
  });
});

/** Many changes, told apart without showing all of them. */
function digestOf(changes: readonly Change[]): string {
  return createHash('sha256').update(JSON.stringify(changes)).digest('hex');
}

function nameOf(of: number, bytes: Uint8Array): string {
  return textOf(Uint8Array.of(of, ...bytes));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

type Change = readonly [index: number, key: string, value: string | null];

function inOrder(model: ReadonlyMap<string, Uint8Array | null>, of: number): Change[] {
  const names = [...model.keys()].filter((name) => name.charCodeAt(0) === of).sort();
  return names.map((name) => [targets[of]!.number, name.slice(1), hexOf(model.get(name)!)]);
}

function hexOf(value: Uint8Array | null): string | null {
  return value === null ? null : Buffer.from(value).toString('hex');
}

function bytesOf(model: ReadonlyMap<string, Uint8Array | null>): number {
  let bytes = 0;
  for (const [name, value] of model) bytes += name.length - 1 + (value?.length ?? 0);
  return bytes;
}

function ownOf(buffer: WriteBuffer, of: number): Change[] {
  const own = buffer.ownOf(targets[of]!);
  if (own === null) return [];
  return Array.from({ length: own.length }, (_, at) => [
    targets[of]!.number,
    textOf(own.key(at)),
    own.deletes(at) ? null : hexOf(own.value(at)),
  ]);
}

function encodedOf(buffer: WriteBuffer): Change[] {
  const { logged } = buffer.encode();
  expect(logged.bytes.subarray(logged.size, logged.size + 8)).toEqual(new Uint8Array(8));
  const operations = decodeOperations(logged.bytes.subarray(0, logged.size), logged.length)!;
  return Array.from(operations, ({ kind, index, key, value }) => [
    index,
    textOf(key),
    kind === OPERATION_DELETE ? null : hexOf(value),
  ]);
}
