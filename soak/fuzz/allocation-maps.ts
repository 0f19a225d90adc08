/**
 * Allocation maps whose checksum was right. One that is taken says what its bytes say, and leads to a file in which no
 * unit is given out twice, and none that is in use.
 */
import { sizeClassOf, unitOf } from '@pagewright/core';
import type { FuzzSeed, FuzzTarget, Random } from '@pagewright/testkit';
import { assertSurroundingsUntouched, surrounded } from '@pagewright/testkit';
import { expectSame, expectThat, sameBytes } from './agreement.js';
import { fileSpace, allocationMap as format } from './internals.js';
import { FixedFile } from './memory-files.js';

const PAGE = 4096;
const RESERVED = 2;

export const allocationMaps: FuzzTarget<null> = {
  name: 'allocation maps',
  resizes: true,
  refusals: new Set(['PW_CORRUPT_FILE']),
  seeds: (random) => [0, 1, 5, 20].map((givenUp) => mapOf(random, givenUp)),
  run(bytes) {
    const [map, again] = ([0, 1] as const).map((pattern) => decode(bytes, pattern));
    expectSame(again, map, 'what lies around the map changes it');
    const { units, bits, givenUp } = map!;
    const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    expectThat(block.readUInt32LE(4) === units && block.readUInt32LE(8) === givenUp.length, 'the map has other counts');
    const end = 16 + Math.ceil(units / 64) * 8;
    expectThat(sameBytes(bits, bytes.subarray(16, end)), 'the map has other bits');
    for (const [i, { address, epoch }] of givenUp.entries()) {
      expectThat(block.readUInt32LE(end + 12 * i) === address, 'the map has another extent that was given up');
      expectThat(Number.isSafeInteger(epoch) && epoch >= 0, `an extent was given up in epoch ${epoch}`);
    }
    expectNoneTwice(map!);
    return 'taken';
  },
};

type FoundMap = ReturnType<typeof format.decodeMap>;

function decode(bytes: Uint8Array, pattern: 0 | 1): FoundMap {
  const view = surrounded(bytes, pattern);
  const map = format.decodeMap(Buffer.from(view.buffer, view.byteOffset, view.length), RESERVED, '/store/fuzzed.pw');
  assertSurroundingsUntouched(view, pattern);
  return map;
}

/** Gives out all that is free, page by page: what is in use is never among it, and nothing comes twice. */
function expectNoneTwice(map: FoundMap): void {
  const { FileSpace } = fileSpace;
  const space = new FileSpace(new FixedFile(map.units * PAGE), FileSpace.memory(), PAGE, RESERVED, false);
  space.load(map, 3);
  const kept = new Set<number>();
  for (const { address, epoch } of map.givenUp) {
    const first = unitOf(address);
    for (let unit = first; unit < first + 2 ** sizeClassOf(address); unit++) {
      if (epoch > 3) kept.add(unit);
      else kept.delete(unit);
    }
  }
  const freed = new Set(
    map.givenUp.flatMap(({ address, epoch }) =>
      epoch > 3 ? [] : Array.from({ length: 2 ** sizeClassOf(address) }, (_, i) => unitOf(address) + i),
    ),
  );
  const given = new Set<number>();
  for (let left = space.freeUnits; left > 0; left--) {
    const unit = unitOf(space.allocate(0, 'open'));
    expectThat(!given.has(unit), () => `unit ${unit} is given out twice`);
    expectThat(unit >= RESERVED && unit < map.units, () => `unit ${unit} is given out, and is none of the file`);
    expectThat(!format.hasBit(map.bits, unit) || freed.has(unit), () => `unit ${unit} is given out, and is in use`);
    expectThat(!kept.has(unit), () => `unit ${unit} is given out, and an older superblock names it`);
    given.add(unit);
  }
}

function mapOf(random: Random, count: number): FuzzSeed<null> {
  const units = random.between(200, 900);
  const bits = format.emptyBits(units);
  format.setBits(bits, 0, RESERVED, true);
  const givenUp: { address: number; epoch: number }[] = [];
  for (let unit = 8; unit + 8 < units; unit += 8) {
    const sizeClass = random.below(4);
    if (!random.chance(0.6)) continue;
    format.setBits(bits, unit, 2 ** sizeClass, true);
    if (givenUp.length < count) givenUp.push({ address: unit * 2 + 2 ** sizeClass, epoch: random.between(1, 6) });
  }
  const bytes = new Uint8Array(PAGE);
  format.encodeMap({ units, bits, givenUp }, Buffer.from(bytes.buffer));
  const end = 16 + bits.length;
  const fields = [{ start: 0, end: 16 }];
  if (givenUp.length > 0) fields.push({ start: end, end: end + 12 * givenUp.length });
  return { bytes, context: null, fields };
}
