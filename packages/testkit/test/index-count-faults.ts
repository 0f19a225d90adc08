/** What authors of indexes get wrong when they count and estimate. */
import { type Cursor, EntryCount } from '@pagewright/core';
import { fault, type IndexFault } from './index-fault.js';

type Count = NonNullable<Cursor['count']>;

function counting(name: string, caughtBy: readonly string[], change: (sound: Cursor) => Count): IndexFault {
  return fault(name, caughtBy, { cursor: (sound) => ({ count: change(sound) }) });
}

/** What is asked for, with something about it changed. */
function asked(into: EntryCount, change: Partial<EntryCount>): EntryCount {
  const { end, inclusive, newest, deletedOnly } = into;
  return Object.assign(new EntryCount(), { end, inclusive, newest, deletedOnly }, change);
}

function answer(into: EntryCount, { count, values, timestamp, isTooNew, hasValues }: EntryCount): void {
  Object.assign(into, { count, values, timestamp, isTooNew, hasValues });
}

export const COUNT_FAULTS: readonly IndexFault[] = [
  counting('counts tombstones as values', ['count-ranges'], (sound) => (into) => {
    const more = sound.count!(into);
    into.values = into.count;
    return more;
  }),
  counting(
    'never counts the entry at the end of the range',
    ['count-ranges', 'count-at-the-edges'],
    (sound) => (into) => {
      const own = asked(into, { inclusive: false });
      const more = sound.count!(own);
      answer(into, own);
      return more;
    },
  ),
  counting('counts beyond the end of the range', ['count-ranges', 'count-at-the-edges'], (sound) => (into) => {
    const own = asked(into, { end: null });
    const more = sound.count!(own);
    answer(into, own);
    return more;
  }),
  counting('does not look at how new a page is', ['count-stops-at-new-pages'], (sound) => (into) => {
    const own = asked(into, { newest: Number.POSITIVE_INFINITY });
    const more = sound.count!(own);
    answer(into, own);
    return more;
  }),
  counting('passes values as well', ['count-passes-deleted'], (sound) => (into) => {
    const own = asked(into, { deletedOnly: false });
    const more = sound.count!(own);
    answer(into, own);
    return more;
  }),
  counting('says nothing of the stamps that it has passed', ['count-passes-deleted'], (sound) => (into) => {
    const more = sound.count!(into);
    into.timestamp = 0;
    return more;
  }),
  fault('begins to count anew after a page fault', ['count-after-faults'], {
    cursor: (sound) => {
      let reverse = false;
      return {
        seek: (key, options) => {
          reverse = options.reverse ?? false;
          sound.seek(key, options);
        },
        count: (into) => {
          try {
            return sound.count!(into);
          } catch (error) {
            sound.seek(null, { reverse });
            throw error;
          }
        },
      };
    },
  }),
  fault('estimates a number for an empty range', ['estimate-in-bounds'], {
    index: (sound) => ({ estimate: (lower, upper) => sound.estimate!(lower, upper) + 1 }),
  }),
  fault('holds a latch after an estimate', ['estimate-in-bounds'], {
    index: (sound, { pages, root }) => ({
      estimate: (lower, upper) => {
        const about = sound.estimate!(lower, upper);
        pages.latch(root.frame);
        return about;
      },
    }),
  }),
  fault('estimates what a page has for what the range has', ['estimate-about-right'], {
    index: (sound) => ({ estimate: (lower, upper) => Math.min(30, sound.estimate!(lower, upper)) }),
  }),
];
