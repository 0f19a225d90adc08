/** Long random runs against a sorted map, with check and agreement again and again. ART_SEED chooses another run. */

import { Segment } from '@pagewright/core';
import { Random, valueBytes } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { NodeContent } from '../src/node-content.js';
import { SLICE } from '../src/node-layout.js';
import { childFor, sliceEnd, sliceStart } from '../src/node-search.js';
import { ModeledTree } from './model.js';

const SEED = Number(process.env.ART_SEED ?? Math.floor(Math.random() * 2 ** 31));

type Draw = (random: Random) => string;
const KEYS: readonly (readonly [string, Draw])[] = [
  ['few bytes, deep', (random) => 'ab'.charAt(random.below(2)).repeat(random.between(1, 4)) + binary(random, 12)],
  ['all bytes, short', (random) => bytes(random, random.between(1, 4))],
  ['paths', (random) => `/usr/${random.pick(['lib', 'lib64', 'share/doc'])}/p${random.below(40)}/f${random.below(40)}`],
  ['numbers', (random) => String.fromCharCode(0, 0, random.below(3), random.below(256), random.below(256))],
];

it.each(KEYS)('holds what a sorted map holds, through growth, decay and growth: %s', (_, draw) => {
  const random = new Random(SEED);
  const tree = new ModeledTree({
    seed: SEED,
    frames: 4096,
    relocate: 0.005,
    evict: 0.005,
    interfere: 0.01,
    tear: 0.01,
    watch: false,
  });
  try {
    for (const chance of [0.1, 0.9, 0.2]) {
      for (let step = 0; step < 1500; step++) {
        const key = random.chance(0.5) && tree.sorted.length > 0 ? random.pick(tree.sorted) : draw(random);
        if (random.chance(chance)) tree.remove(key);
        else tree.put(key, step & 255, valueBytes(step, random.chance(0.02) ? 2500 : random.below(60)));
      }
      tree.expectWhole();
    }
  } catch (error) {
    throw new Error(`ART_SEED=${SEED}: ${(error as Error).message}`, { cause: error });
  }
});

it('a node is found to have what was written to it, whatever its kind, with slices among its children', () => {
  const random = new Random(SEED);
  const segment = new Segment(new SharedArrayBuffer(4096));
  for (let round = 0; round < 150; round++) {
    const content = new NodeContent(1024);
    const expected = new Array<number>(256).fill(0);
    const density = random.pick([0.01, 0.04, 0.12, 0.5, 1]);
    content.prefixLength = random.below(9);
    for (let byte = 0; byte < 256; byte++) {
      if (!random.chance(density)) continue;
      const isSlice = random.chance(0.2);
      const last = isSlice ? Math.min(255, byte + random.below(12)) : byte;
      const reference = (content.count + 8) * 8 + (isSlice ? SLICE : 1);
      content.add(byte, last, reference);
      expected.fill(reference, byte, last + 1);
      byte = last;
    }
    content.write(segment, 64, content.kind);
    for (let byte = 0; byte < 256; byte++) {
      const found = childFor(segment, 64, content.kind, byte);
      expect(found, `ART_SEED=${SEED}, round ${round}, byte ${byte}`).toBe(expected[byte]);
      if ((found & 7) !== SLICE) continue;
      expect(sliceStart(segment, 64, content.kind, byte)).toBe(expected.indexOf(found));
      expect(sliceEnd(segment, 64, content.kind, byte)).toBe(expected.lastIndexOf(found));
    }
    const again = new NodeContent(1024);
    again.read(segment, 64, content.kind);
    expect([...again.references.subarray(0, again.count)]).toEqual([...content.references.subarray(0, content.count)]);
    expect([...again.last.subarray(0, again.count)]).toEqual([...content.last.subarray(0, content.count)]);
  }
});

function binary(random: Random, length: number): string {
  return Array.from({ length: random.between(1, length) }, () => random.pick(['a', 'b'])).join('');
}

function bytes(random: Random, length: number): string {
  return Array.from({ length }, () => String.fromCharCode(random.below(256))).join('');
}
