/**
 * What a verification holds against each other of the file as a whole: the two superblocks, and what the allocation map of
 * a checkpoint says against what its tree reaches (C5).
 */
import { crc32 } from 'node:zlib';
import { sizeClassOf, unitOf } from '@pagewright/core/contracts';
import { type AllocationMap, decodeMap, hasBit } from './allocation-map.js';
import type { FileSpace } from './file-space.js';
import type { PageFile } from './page-file.js';
import { encodeSuperblock, SLOT_SIZE, type Slot, type Superblock } from './superblock.js';
import { UnitSet } from './verify-extents.js';
import { type Findings, Place } from './verify-findings.js';
import { codeOf, messageOf } from './verify-tree.js';

/** Times that a reader reads slots which may just be being written. */
const MOST_READS = 8;

/**
 * Reads both slots in place. No superblock is on its way to the file. The one that counts must be there as it was written;
 * the other must be valid.
 */
export function checkSuperblocks(file: PageFile, findings: Findings): void {
  let slots: readonly Slot[];
  try {
    slots = file.readSlotsSync();
    // A reader may meet a superblock that the writer is just writing.
    for (let reads = 1; file.reader !== null && reads < MOST_READS && slots.some(isInvalid); reads++) {
      slots = file.readSlotsSync();
    }
  } catch (error) {
    findings.report(new Place(null, 'superblocks'), `They cannot be read: ${messageOf(error)}`, codeOf(error));
    return;
  }
  let newest: { readonly superblock: Superblock; readonly place: Place } | null = null;
  for (const [number, slot] of slots.entries()) {
    const place = new Place(null, `superblock in slot ${number}`, number * SLOT_SIZE);
    if (slot.kind !== 'valid') {
      findings.report(place, WRONG_SLOT[slot.kind], 'PW_CORRUPT_FILE');
      continue;
    }
    const { superblock } = slot;
    if (superblock.storeId !== file.superblock.storeId)
      findings.report(place, 'It is of another store', 'PW_CORRUPT_FILE');
    else if (newest === null || superblock.epoch > newest.superblock.epoch) newest = { superblock, place };
  }
  // Beside a writer, any other may be there by now.
  if (file.reader !== null) return;
  if (newest === null || encodeSuperblock(newest.superblock).equals(encodeSuperblock(file.superblock))) return;
  // With the newer slot damaged, which was reported, the older one is what is left.
  if (newest.superblock.epoch < file.superblock.epoch) return;
  findings.report(newest.place, 'It is not the one that was found at opening, or written since', 'PW_CORRUPT_FILE');
}

function isInvalid({ kind }: Slot): boolean {
  return kind !== 'valid';
}

const WRONG_SLOT: Readonly<Record<Exclude<Slot['kind'], 'valid'>, string>> = {
  damaged: 'It does not match its checksum',
  blank: 'It is blank',
  foreign: 'It does not begin as a superblock does',
  'other-version': 'It is of another version of the format',
  'other-features': 'It names features that this release does not know',
};

/** Reads the allocation map of a checkpoint; null if it has none, or none that can be used, which is reported then. */
export async function readMap(
  file: PageFile,
  { mapAddress, mapChecksum }: Superblock,
  checkpoint: Place,
  findings: Findings,
): Promise<AllocationMap | null> {
  if (mapAddress === 0) return null;
  const place = mapPlace(file, mapAddress, checkpoint);
  try {
    const block = Buffer.alloc(file.bytesOf(mapAddress));
    await file.io.read(block, file.offsetOf(mapAddress));
    if (crc32(block) === mapChecksum) return decodeMap(block, file.reservedUnits, file.io.path);
    findings.report(place, 'It does not match its checksum', 'PW_CORRUPT_FILE');
  } catch (error) {
    if (codeOf(error) === 'PW_CLOSED') throw error;
    findings.report(place, `It cannot be read: ${messageOf(error)}`, codeOf(error));
  }
  return null;
}

/**
 * C5: in use is what the tree reaches, its map, the superblocks, and what was given up and is kept. Nothing else, and nothing
 * twice. `reached` is what the tree reaches; if not all of it could be gone through, what is missing may be beyond that.
 */
export function checkMap(
  file: PageFile,
  map: AllocationMap,
  superblock: Superblock,
  { reached, complete }: { readonly reached: UnitSet; readonly complete: boolean },
  checkpoint: Place,
  findings: Findings,
): void {
  const { mapAddress, epoch } = superblock;
  const place = mapPlace(file, mapAddress, checkpoint);
  const report = (message: string): void => findings.report(place, message, 'PW_CORRUPT_FILE');
  const { pageSize } = file;
  // Once no superblock names the map any more, free space at the end that it speaks of may be gone.
  if (map.units * pageSize > file.io.size() && file.names(superblock))
    report(`The file has ${file.io.size()} bytes instead of ${map.units * pageSize}`);
  const accounted = new UnitSet(map.units);
  accounted.add(0, file.reservedUnits);
  if (!accounted.claim(mapAddress) || overlaps(reached, mapAddress))
    report('It lies where a page or a superblock does');
  for (const givenUp of map.givenUp) {
    const extent = `${file.bytesOf(givenUp.address)} bytes at byte ${file.offsetOf(givenUp.address)}`;
    if (givenUp.epoch > epoch) report(`The ${extent} were given up in epoch ${givenUp.epoch}, which is yet to come`);
    if (overlaps(reached, givenUp.address)) report(`The ${extent} were given up, and are reached all the same`);
    if (!accounted.claim(givenUp.address)) report(`The ${extent} were given up twice, or are no page`);
  }
  const runs = new Runs();
  for (let unit = 0; unit < map.units; unit++) {
    const isReached = reached.has(unit) || accounted.has(unit);
    const inUse = hasBit(map.bits, unit);
    if (isReached && !inUse) runs.add(unit, 'free');
    else if (inUse && !isReached && complete) runs.add(unit, 'leaked');
  }
  runs.forEach((first, count, what) => {
    const extent = `${count * pageSize} bytes at byte ${first * pageSize}`;
    if (what === 'free') report(`The ${extent} are in use, and the map says that they are free`);
    else report(`The ${extent} are in use as the map says, and nothing reaches them: they are leaked`);
  });
}

/** C4: nothing of it may be given out again. */
export function checkNotFree(
  space: FileSpace,
  pageSize: number,
  reached: UnitSet,
  place: Place,
  findings: Findings,
): void {
  const runs = new Runs();
  space.forEachFree((first, sizeClass) => {
    for (let unit = first; unit < first + 2 ** sizeClass; unit++) if (reached.has(unit)) runs.add(unit, 'free');
  });
  runs.forEach((first, count) => {
    const message = `The ${count * pageSize} bytes at byte ${first * pageSize} are reached, and free to be used again`;
    findings.report(place, message, 'PW_CORRUPT_FILE');
  });
}

/** Units with the same fault side by side are one problem. */
class Runs {
  readonly #runs: { readonly first: number; count: number; readonly what: 'free' | 'leaked' }[] = [];

  add(unit: number, what: 'free' | 'leaked'): void {
    const last = this.#runs[this.#runs.length - 1];
    if (last !== undefined && last.what === what && last.first + last.count === unit) last.count++;
    else this.#runs.push({ first: unit, count: 1, what });
  }

  forEach(visit: (first: number, count: number, what: 'free' | 'leaked') => void): void {
    for (const { first, count, what } of this.#runs) visit(first, count, what);
  }
}

function overlaps(set: UnitSet, address: number): boolean {
  const first = unitOf(address);
  for (let unit = first; unit < first + 2 ** sizeClassOf(address); unit++) if (set.has(unit)) return true;
  return false;
}

function mapPlace(file: PageFile, mapAddress: number, checkpoint: Place): Place {
  return new Place(checkpoint, `allocation map at byte ${file.offsetOf(mapAddress)}`, file.offsetOf(mapAddress));
}
