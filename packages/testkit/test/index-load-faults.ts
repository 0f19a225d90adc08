/** What authors of indexes get wrong in bulk loads. */
import type { BulkLoad, Index, IndexContext } from '@pagewright/core';
import { fault, type IndexFault } from './index-fault.js';

type Alter = (sound: BulkLoad, index: Index, context: IndexContext, timestamp: number) => Partial<BulkLoad>;

function loading(name: string, caughtBy: readonly string[], alter: Alter): IndexFault {
  return fault(name, caughtBy, {
    index: (index, context) => ({
      bulkLoad: (timestamp, fill) => {
        const sound = index.bulkLoad!(timestamp, fill);
        const own: BulkLoad = { add: (key, value) => sound.add(key, value), finish: () => sound.finish() };
        return { ...own, ...alter(sound, index, context, timestamp) };
      },
    }),
  });
}

export const LOAD_FAULTS: readonly IndexFault[] = [
  loading('loses what was loaded last', ['load-entries', 'load-every-count', 'load-limits'], (sound) => {
    let last: readonly [Uint8Array, Uint8Array] | null = null;
    return {
      add: (key, value) => {
        if (last !== null) sound.add(...last);
        last = [key.slice(), value.slice()];
      },
    };
  }),
  loading('keeps the arrays that a bulk load gives it', ['load-private-arguments'], (sound) => {
    let last: readonly [Uint8Array, Uint8Array] | null = null;
    const settle = () => {
      if (last !== null) sound.add(...last);
      last = null;
    };
    return {
      add: (key, value) => {
        settle();
        last = [key, value];
      },
      finish: () => {
        settle();
        sound.finish();
      },
    };
  }),
  loading('marks what it loads as deleted', ['load-entries', 'load-every-count'], (_sound, index, _, timestamp) => ({
    add: (key, value) => index.upsert(key, 1, value, timestamp),
    finish: () => undefined,
  })),
  loading('has an entry of its own after a load of nothing', ['load-nothing'], (sound, index, _, timestamp) => {
    let isEmpty = true;
    return {
      add: (key, value) => {
        isEmpty = false;
        sound.add(key, value);
      },
      finish: () => {
        sound.finish();
        if (isEmpty) index.upsert(Uint8Array.of(0), 0, Uint8Array.of(0), timestamp);
      },
    };
  }),
  loading('does not load long keys', ['load-limits'], (sound) => ({
    add: (key, value) => {
      if (key.length > 1000) throw new RangeError('The key is too long');
      sound.add(key, value);
    },
  })),
  loading('keeps a page of a bulk load to itself', ['load-pages-in-the-tree'], (sound, _, context, timestamp) => {
    const { pages, number } = context;
    let kept = -1;
    return {
      add: (key, value) => {
        sound.add(key, value);
        if (kept >= 0) return;
        kept = pages.allocate(number, 1, 0, timestamp);
        pages.unlatch(kept);
      },
      finish: () => {
        if (kept >= 0) pages.latch(kept);
        if (kept >= 0) pages.free(kept);
        sound.finish();
      },
    };
  }),
  loading('holds a latch after a bulk load that failed', ['load-fails'], (sound, _, { pages, root }) => ({
    add: (key, value) => {
      try {
        sound.add(key, value);
      } catch (error) {
        pages.latch(root.frame);
        throw error;
      }
    },
  })),
];
