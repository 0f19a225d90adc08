/** What authors of indexes get wrong about the stamps of pages. */
import { EntryReference, type Index, type PageStore } from '@pagewright/core';
import type { Alteration } from './altered-index.js';
import { fault, type IndexFault } from './index-fault.js';

/** An alteration of the store that knows the timestamp of the commit under way. */
function whileCommitting(pages: (sound: PageStore, now: () => number) => Partial<PageStore>): () => Alteration {
  return () => {
    let now = 1;
    return {
      index: (sound) => ({
        upsert: (key, tag, value, timestamp) => {
          now = timestamp;
          sound.upsert(key, tag, value, timestamp);
        },
        remove: (key, timestamp) => {
          now = timestamp;
          return sound.remove(key, timestamp);
        },
      }),
      pages: (sound) => pages(sound, () => now),
    };
  };
}

export const STAMP_FAULTS: readonly IndexFault[] = [
  fault('marks pages without the timestamp', ['stamp-of-changes', 'stamp-of-batches'], {
    pages: (sound) => ({ modify: (frame) => sound.modify(frame, 0) }),
  }),
  fault('gives new pages the timestamp 0', ['stamp-of-changes', 'stamp-moves'], {
    pages: (sound) => ({ allocate: (index, kind, sizeClass) => sound.allocate(index, kind, sizeClass, 0) }),
  }),
  fault(
    'gives pages that entries move to no higher timestamp than that of the commit',
    ['stamp-moves', 'stamp-merges'],
    whileCommitting((sound, now) => ({
      allocate: (index, kind, sizeClass) => sound.allocate(index, kind, sizeClass, now()),
      modify: (frame) => sound.modify(frame, now()),
    })),
  ),
  fault(
    'gives pages that take the entries of others no higher timestamp than that of the commit',
    ['stamp-merges'],
    whileCommitting((sound, now) => ({ modify: (frame) => sound.modify(frame, now()) })),
  ),
  fault(
    'cuts the timestamps of look-ups to 32 bits',
    ['timestamp-on-miss', 'stamp-of-changes', 'stamp-moves', 'stamp-merges', 'stamp-of-equal-values'],
    {
      index: (sound) => ({
        lookup: (key, into) => {
          const found = sound.lookup(key, into);
          into.timestamp >>>= 0;
          return found;
        },
      }),
    },
  ),
  fault('cuts the timestamps of batches to 32 bits', ['stamp-of-batches', 'stamp-of-gaps'], {
    cursor: (sound) => ({
      next: (batch) => {
        const more = sound.next(batch);
        batch.timestamp >>>= 0;
        return more;
      },
    }),
  }),
  fault(
    'cuts the higher timestamps that entries take along to 32 bits',
    ['stamp-moves'],
    whileCommitting((sound, now) => {
      const cut = (timestamp: number) => (timestamp > now() ? Math.max(now(), timestamp >>> 0) : timestamp);
      return {
        allocate: (index, kind, sizeClass, timestamp) => sound.allocate(index, kind, sizeClass, cut(timestamp)),
        modify: (frame, timestamp) => sound.modify(frame, cut(timestamp)),
      };
    }),
  ),
  fault('does nothing where what is put is there already', ['stamp-of-equal-values'], {
    index: (sound) => ({
      upsert: (key, tag, value, timestamp) => {
        if (!has(sound, key, tag, value)) sound.upsert(key, tag, value, timestamp);
      },
    }),
  }),
];

function has(index: Index, key: Uint8Array, tag: number, value: Uint8Array): boolean {
  const reference = new EntryReference();
  return index.lookup(key, reference) && reference.tag === tag && Buffer.compare(reference.value, value) === 0;
}
