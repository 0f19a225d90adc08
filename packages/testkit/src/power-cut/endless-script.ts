/**
 * The script of work that a writer does until it is killed, made so that a checker can tell to the last byte what must be
 * in the store.
 *
 * Four lanes write at once, each one transaction after the other. What a transaction changes follows from its lane and
 * number alone, and it writes its number as the lane's count: what a lane has in the store follows from its count. After
 * every stretch of ten transactions the lanes wait for each other and one thing is done alone, the interlude: a checkpoint,
 * or an index is cleared, or an index is dropped and made anew.
 */

export const LANES = 4;
export const STRETCH = 10;
/** `counts`: of each lane. `cleared` and `dropped` are emptied by the interludes. */
export const INDEXES = ['counts', 'slots', 'sums', 'cleared', 'dropped'] as const;
export type IndexName = (typeof INDEXES)[number];
const INTERLUDES = ['checkpoint', 'clear', 'drop'] as const;
export type Interlude = (typeof INTERLUDES)[number];

const SLOTS = 100;
const KEPT_SUMS = 50;
/** What a transaction wrote was written over, deleted or emptied after so many more. */
const REACH = 60;

export interface Change {
  readonly index: IndexName;
  readonly key: string;
  /** Null: it is deleted. */
  readonly value: Uint8Array | null;
}

/** What follows the stretch of this number, from 1. */
export function interludeAfter(stretch: number): Interlude {
  return INTERLUDES[stretch % INTERLUDES.length] as Interlude;
}

/** The last stretch, at most this one, that this interlude followed; 0 if there was none. */
export function lastStretchBefore(interlude: Interlude, stretch: number): number {
  let last = stretch;
  while (last > 0 && interludeAfter(last) !== interlude) last--;
  return last;
}

/** The transaction of this number, from 1, of this lane, from 0. */
export function changesOf(lane: number, number: number): Change[] {
  const changes: Change[] = [
    { index: 'counts', key: String(lane), value: Buffer.from(String(number)) },
    { index: 'sums', key: `${lane}/${number}`, value: bytesOf(lane, number, 30) },
    { index: 'sums', key: `${lane}/${number - KEPT_SUMS}`, value: null },
    { index: 'cleared', key: `${lane}/${number}`, value: bytesOf(lane, number, 200) },
    { index: 'dropped', key: `${lane}/${number}`, value: bytesOf(lane, number, 200) },
  ];
  for (let part = 0; part < 5; part++) {
    const slot = (number * 5 + part * 13) % SLOTS;
    const bytes = 20 + ((number * 37 + part * 911 + lane * 401) % 3000);
    changes.push({ index: 'slots', key: `${lane}/${slot}`, value: bytesOf(lane, number, bytes) });
  }
  // Large values come and go, so that the file grows and has room again.
  const phase = number % 20;
  const key = `${lane}/large/${phase % 10}`;
  if (phase >= 5 && phase < 8) {
    changes.push({ index: 'slots', key, value: bytesOf(lane, number, 20_000 + ((number * 9_973) % 60_000)) });
  } else if (phase >= 15 && phase < 18) changes.push({ index: 'slots', key, value: null });
  return changes;
}

/**
 * What must be in each index when each lane has come to its count.
 * @param emptied the last stretch after which `cleared`, and `dropped`, was emptied; 0 for never
 */
export function contentAfter(
  counts: readonly number[],
  emptied: { readonly cleared: number; readonly dropped: number },
): ReadonlyMap<IndexName, ReadonlyMap<string, Uint8Array>> {
  const content = new Map(INDEXES.map((name) => [name, new Map<string, Uint8Array>()]));
  for (const [lane, count] of counts.entries()) {
    for (let number = Math.max(1, count - REACH); number <= count; number++) {
      for (const { index, key, value } of changesOf(lane, number)) {
        const isEmptied = (index === 'cleared' || index === 'dropped') && number <= emptied[index] * STRETCH;
        if (value === null) content.get(index)!.delete(key);
        else if (!isEmptied) content.get(index)!.set(key, value);
      }
    }
  }
  return content;
}

/** Bytes that tell lane and number everywhere, so that a sector of another value is noticed. */
function bytesOf(lane: number, number: number, bytes: number): Uint8Array {
  const pattern = Buffer.alloc(8);
  pattern.writeUInt32LE(number, 0);
  pattern.writeUInt32LE(lane + 1, 4);
  return Buffer.alloc(bytes, pattern);
}
