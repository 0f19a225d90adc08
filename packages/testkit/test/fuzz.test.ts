/** The fuzzer itself: on a small decoder that is sound, and on ones that each lack something. */
import { PagewrightError } from '@pagewright/core';
import { describe, expect, it } from 'vitest';
import { FuzzSession } from '../src/fuzz/fuzzer.js';
import { ddmin } from '../src/fuzz/minimize.js';
import { type FuzzTarget, fuzz, minimize, Random, replay, Surroundings, surrounded } from '../src/index.js';

/** Pieces of text, each behind a byte with its length, behind a byte with the sum of all that follows. */
function encode(pieces: readonly string[]): Uint8Array {
  const body = pieces.flatMap((piece) => [piece.length, ...Buffer.from(piece, 'latin1')]);
  return Uint8Array.from([sumOf(Uint8Array.from(body)), ...body]);
}

function sumOf(body: Uint8Array): number {
  return body.reduce((sum, byte) => (sum * 3 + byte) % 256, 7);
}

type Decoder = (memory: Uint8Array, start: number, length: number, step: () => void) => string[];

const refused = (): PagewrightError => new PagewrightError('PW_ENCODING', 'no pieces');

const sound: Decoder = (memory, start, length, step) => {
  const end = start + length;
  if (length === 0 || sumOf(memory.subarray(start + 1, end)) !== memory[start]) throw refused();
  const pieces: string[] = [];
  for (let at = start + 1; at < end; ) {
    step();
    const next = at + 1 + memory[at]!;
    if (next > end) throw refused();
    pieces.push(Buffer.from(memory.subarray(at + 1, next)).toString('latin1'));
    at = next;
  }
  return pieces;
};

/** A target as one would write it for any decoder. */
function targetFor(decode: Decoder): FuzzTarget<null> {
  const attempt = (bytes: Uint8Array, pattern: 0 | 1): string[] => {
    const place = new Surroundings(bytes.length, pattern);
    place.place(bytes);
    let steps = 1000;
    const step = (): void => {
      if (--steps < 0) throw new Error('it goes round and round');
    };
    const pieces = decode(place.segment.u8, place.base, bytes.length, step);
    place.assertUntouched();
    return pieces;
  };
  return {
    name: 'pieces',
    resizes: true,
    refusals: new Set(['PW_ENCODING']),
    seeds: (random) =>
      Array.from({ length: 5 }, () => ({
        bytes: encode(Array.from({ length: random.below(5) }, () => 'x'.repeat(random.below(20)))),
        context: null,
      })),
    repair(bytes) {
      if (bytes.length > 0) bytes[0] = sumOf(bytes.subarray(1));
    },
    run(bytes) {
      const pieces = attempt(bytes, 0);
      if (attempt(bytes, 1).join() !== pieces.join()) throw new Error('what lies around the bytes is read');
      if (Buffer.compare(encode(pieces), bytes) !== 0) throw new Error('wrong data');
      return 'decoded';
    },
  };
}

const FAULTS: readonly { readonly name: string; readonly decode: Decoder; readonly finding: RegExp }[] = [
  {
    name: 'a length that is not bounded',
    decode: (memory, start, length, step) => {
      if (length === 0) throw refused();
      const pieces: string[] = [];
      for (let at = start + 1; at < start + length; at += 1 + memory[at]!) {
        step();
        pieces.push(Buffer.from(memory.subarray(at + 1, at + 1 + memory[at]!)).toString('latin1'));
      }
      return pieces;
    },
    finding: /what lies around|wrong data/,
  },
  {
    name: 'a checksum that is not looked at',
    decode: (memory, start, length, step) => {
      const whole = memory.slice(start, start + length);
      if (whole.length > 0) whole[0] = sumOf(whole.subarray(1));
      return sound(whole, 0, whole.length, step);
    },
    finding: /wrong data/,
  },
  {
    name: 'a loop that does not advance',
    decode: (memory, start, length, step) => {
      const pieces = sound(memory, start, length, step);
      while (pieces.includes('')) step();
      return pieces;
    },
    finding: /round and round/,
  },
  {
    name: 'an error of another kind',
    decode: (memory, start, length, step) => {
      if (length === 0) throw new TypeError('undefined is not a function');
      return sound(memory, start, length, step);
    },
    finding: /undefined is not a function/,
  },
  {
    name: 'an error with another code',
    decode: (memory, start, length, step) => {
      if (length === 0) throw new PagewrightError('PW_INTERNAL', 'an invariant does not hold');
      return sound(memory, start, length, step);
    },
    finding: /an invariant/,
  },
  {
    name: 'a write behind the end',
    decode: (memory, start, length, step) => {
      if (length % 8 === 0 && length > 0) memory[start + length] = 1;
      return sound(memory, start, length, step);
    },
    finding: /memory outside the page was written to/,
  },
];

describe('the fuzzer', () => {
  it('finds nothing in a sound decoder, and reaches what is behind its checksum', async () => {
    const { findings, outcomes, inputs } = await fuzz(targetFor(sound), { seed: 5, inputs: 3000 });
    expect(findings).toEqual([]);
    expect(inputs).toBe(3000);
    expect(outcomes.get('decoded')).toBeGreaterThan(300);
    expect(outcomes.get('refused: PW_ENCODING')).toBeGreaterThan(300);
  });

  for (const { name, decode, finding } of FAULTS) {
    it(`finds ${name}, repeats it, and makes it small`, async () => {
      const target = targetFor(decode);
      const { findings } = await fuzz(target, { seed: 5, inputs: 5000, mostFindings: 1 });
      expect(findings).toHaveLength(1);
      const { seed, index, message } = findings[0]!;
      expect(message).toMatch(finding);
      expect(message).toContain(`seed 5, input ${index}`);
      expect(await replay(target, seed, index)).toBeInstanceOf(Error);
      const smallest = await minimize(target, seed, index);
      const session = await FuzzSession.open(target, seed);
      const all = session.input(index).mutations;
      expect(smallest!.mutations.length).toBeLessThanOrEqual(all.length);
      for (const left of smallest!.mutations.keys()) {
        const fewer = smallest!.mutations.filter((_, i) => i !== left);
        expect(typeof session.attempt({ ...session.input(index), mutations: fewer })).toBe('string');
      }
    });
  }

  it('makes every input of its seed and number alone', async () => {
    const bytesAt = async (seed: number, index: number): Promise<string> => {
      const session = await FuzzSession.open(targetFor(sound), seed);
      return Buffer.from(session.bytes(session.input(index))).toString('hex');
    };
    const session = await FuzzSession.open(targetFor(sound), 9);
    const inOrder = Array.from({ length: 200 }, (_, i) => Buffer.from(session.bytes(session.input(i))).toString('hex'));
    for (const index of [199, 3, 77]) expect(await bytesAt(9, index)).toBe(inOrder[index]);
    expect(new Set(inOrder).size).toBeGreaterThan(100);
    expect(await bytesAt(10, 77)).not.toBe(inOrder[77]);
  });

  it('goes on from a number, tells what it tries, and stops when the time is over', async () => {
    const tried: number[] = [];
    await fuzz(targetFor(sound), { seed: 1, from: 40, inputs: 3, onInput: (index) => tried.push(index) });
    expect(tried).toEqual([40, 41, 42]);
    const { inputs } = await fuzz(targetFor(sound), { seed: 1, minutes: 0 });
    expect(inputs).toBe(0);
    await expect(fuzz(targetFor(sound), { seed: 1 })).rejects.toThrow('how many inputs');
  });

  it('leaves a target with many findings, and takes a promise for an answer', async () => {
    const failing: FuzzTarget<null> = { ...targetFor(sound), run: () => Promise.reject(new Error('always')) };
    const { inputs, findings } = await fuzz(failing, { seed: 1, inputs: 1000, mostFindings: 7 });
    expect([inputs, findings.length]).toEqual([7, 7]);
    const smallest = await minimize(failing, 1, 0);
    expect(smallest!.mutations).toEqual([]);
  });

  it('has nothing to make small where there is no finding', async () => {
    expect(await minimize(targetFor(sound), 1, 0)).toBeNull();
  });
});

it('leaving out parts of a list leaves those that are needed together', async () => {
  const items = Array.from({ length: 30 }, (_, i) => i);
  for (const needed of [[3], [0, 29], [5, 6, 20], []]) {
    const kept = await ddmin(items, async (some) => needed.every((item) => some.includes(item)));
    expect(kept).toEqual(needed);
  }
});

it('surroundings differ in every bit and are told from the bytes within', () => {
  const bytes = new Random(1).fill(new Uint8Array(100));
  const views = [surrounded(bytes, 0), surrounded(bytes, 1)] as const;
  const memory = views.map((view) => new Uint8Array(view.buffer)) as [Uint8Array, Uint8Array];
  expect(Buffer.compare(views[0], bytes) + Buffer.compare(views[1], bytes)).toBe(0);
  for (const [at, byte] of memory[0].entries()) {
    const isAround = at < views[0].byteOffset || at >= views[0].byteOffset + bytes.length;
    expect(byte ^ memory[1][at]!).toBe(isAround ? 0xff : 0);
  }
});
