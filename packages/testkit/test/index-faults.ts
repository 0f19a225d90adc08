/** What authors of indexes get wrong, one thing at a time, each planted in a sound index, and the clauses that must catch it. */
import {
  type Cursor,
  EntryBatch,
  EntryReference,
  type Index,
  type IndexContext,
  isPagewrightError,
  PageFault,
  type PageStore,
  PagewrightError,
} from '@pagewright/core';
import type { Alteration } from './altered-index.js';
import { buryingType } from './burying-index.js';
import { COUNT_FAULTS } from './index-count-faults.js';
import { fault, type IndexFault } from './index-fault.js';
import { LOAD_FAULTS } from './index-load-faults.js';
import { ROOM_FAULTS } from './index-room-faults.js';
import { STAMP_FAULTS } from './index-stamp-faults.js';

type Upsert = Index['upsert'];
type Lookup = Index['lookup'];

const upserting = (change: (sound: Index, context: IndexContext) => Upsert): Alteration => ({
  index: (sound, context) => ({ upsert: change(sound, context) }),
});
const lookingUp = (change: (sound: Index, context: IndexContext) => Lookup): Alteration => ({
  index: (sound, context) => ({ lookup: change(sound, context) }),
});

/** What the index has for a key. */
function read(index: Index, key: Uint8Array): EntryReference | null {
  const reference = new EntryReference();
  return index.lookup(key, reference) ? reference : null;
}

const FIRST_PAGE_TAIL = (pages: PageStore, frame: number): number => pages.baseOf(frame) + pages.sizeOf(frame) - 1;

export const ENTRY_FAULTS: readonly IndexFault[] = [
  fault(
    'forgets tags',
    ['lookup', 'tags', 'cursor-without-values'],
    upserting((sound) => (key, _, value, timestamp) => sound.upsert(key, 0, value, timestamp)),
  ),
  fault(
    'keeps the tag of the entry that it replaces',
    ['replace', 'tags'],
    upserting((sound) => (key, tag, value, timestamp) => {
      sound.upsert(key, read(sound, key)?.tag ?? tag, value, timestamp);
    }),
  ),
  fault(
    'cuts keys that are too long',
    ['keys-beyond-limits'],
    upserting((sound, { pages }) => (key, tag, value, timestamp) => {
      sound.upsert(key.subarray(0, pages.pageSize >>> 2), tag, value, timestamp);
    }),
  ),
  fault(
    'takes a tombstone for an entry that is not there',
    ['tags'],
    lookingUp((sound) => (key, into) => sound.lookup(key, into) && into.tag !== 1),
  ),
  fault(
    'keeps the tail of a longer value',
    ['replace', 'values-of-every-size'],
    upserting((sound) => (key, tag, value, timestamp) => {
      const old = read(sound, key)?.value ?? value;
      const kept = old.length > value.length ? Buffer.concat([value, old.subarray(value.length)]) : value;
      sound.upsert(key, tag, kept, timestamp);
    }),
  ),
  fault('says that it removed what was not there', ['empty', 'remove'], {
    index: (sound) => ({ remove: (key, timestamp) => sound.remove(key, timestamp) || true }),
  }),
  fault(
    'drops the timestamp on a miss',
    ['timestamp-on-miss', 'stamp-of-changes'],
    lookingUp((sound) => (key, into) => {
      const found = sound.lookup(key, into);
      if (!found) into.timestamp = 0;
      return found;
    }),
  ),
  fault(
    'has no tag if no value is wanted',
    ['without-value'],
    lookingUp((sound) => (key, into) => {
      const found = sound.lookup(key, into);
      if (!into.wantsValue) into.tag = 0;
      return found;
    }),
  ),
  fault('hands out values in memory that it uses again', ['private-values'], () => {
    const reused = new Uint8Array(4 * 1024 * 1024);
    return lookingUp((sound) => (key, into) => {
      const found = sound.lookup(key, into);
      if (found && into.wantsValue) {
        reused.set(into.value);
        into.value = reused.subarray(0, into.value.length);
      }
      return found;
    });
  }),
  fault(
    'hands out a view of the page',
    ['private-values'],
    lookingUp((sound) => (key, into) => {
      const found = sound.lookup(key, into);
      if (found && into.wantsValue) {
        const page = new Uint8Array(new SharedArrayBuffer(into.value.length));
        page.set(into.value);
        into.value = page;
      }
      return found;
    }),
  ),
  fault('keeps the value that it is given instead of a copy', ['private-arguments'], {
    index: (sound) => {
      let put: (() => void) | null = null;
      const settle = () => {
        put?.();
        put = null;
      };
      return {
        upsert: (key, tag, value, timestamp) => {
          settle();
          const kept = key.slice();
          put = () => sound.upsert(kept, tag, value, timestamp);
        },
        lookup: (key, into) => {
          settle();
          return sound.lookup(key, into);
        },
        remove: (key, timestamp) => {
          settle();
          return sound.remove(key, timestamp);
        },
        cursor: () => {
          settle();
          return sound.cursor();
        },
      };
    },
  }),
  fault('says a height below 0', ['height'], { index: () => ({ stats: () => ({ height: -1 }) }) }),
];

export const KEY_FAULTS: readonly IndexFault[] = [
  fault(
    'loses one entry of a thousand',
    ['order-ascending', 'order-descending', 'order-random', 'order-interleaved'],
    () => {
      let puts = 0;
      return upserting((sound) => (key, tag, value, timestamp) => {
        if (++puts % 1000 !== 0) sound.upsert(key, tag, value, timestamp);
      });
    },
  ),
  fault(
    'refuses the largest key',
    ['keys-of-every-length', 'limits-taken'],
    upserting((sound, { pages }) => (key, tag, value, timestamp) => {
      if (key.length === pages.pageSize / 4) throw new PagewrightError('PW_KEY_TOO_LARGE', 'Too large.');
      sound.upsert(key, tag, value, timestamp);
    }),
  ),
  fault('takes no value of the length that its limits state', ['values-of-every-size', 'limits-taken'], {
    limits: ({ maxKeySize, maxValueSize }) => ({ maxKeySize, maxValueSize: maxValueSize + 1 }),
  }),
  fault('states limits that are no whole numbers', ['limits-stated'], {
    limits: ({ maxKeySize, maxValueSize }) => ({ maxKeySize: maxKeySize + 0.5, maxValueSize }),
  }),
  fault(
    'takes a key for the same without its zeros at the end',
    ['keys-that-are-prefixes', 'keys-with-equal-heads', 'keys-of-zeros-and-ones'],
    {
      index: (sound) => ({
        lookup: (key, into) => sound.lookup(withoutZeros(key), into),
        upsert: (key, tag, value, timestamp) => sound.upsert(withoutZeros(key), tag, value, timestamp),
        remove: (key, timestamp) => sound.remove(withoutZeros(key), timestamp),
      }),
    },
  ),
  fault('compares the bytes of keys with their signs', ['keys-of-all-bytes', 'keys-with-a-long-prefix'], {
    index: (sound) => ({
      lookup: (key, into) => sound.lookup(withSigns(key), into),
      upsert: (key, tag, value, timestamp) => sound.upsert(withSigns(key), tag, value, timestamp),
      remove: (key, timestamp) => sound.remove(withSigns(key), timestamp),
    }),
    cursor: (sound) => ({
      seek: (key, options) => sound.seek(key === null ? null : withSigns(key), options),
      next: (batch) => {
        const more = sound.next(batch);
        for (let i = 0; i < batch.count; i++) batch.keys[i] = withSigns(batch.keys[i]!);
        return more;
      },
    }),
  }),
];

function withoutZeros(key: Uint8Array): Uint8Array {
  let length = key.length;
  while (length > 1 && key[length - 1] === 0) length--;
  return key.subarray(0, length);
}

function withSigns(key: Uint8Array): Uint8Array {
  return key.map((byte) => byte ^ 0x80);
}

export const CURSOR_FAULTS: readonly IndexFault[] = [
  fault('includes an exclusive bound', ['cursor-after', 'cursor-before'], {
    cursor: (sound) => ({ seek: (key, options) => sound.seek(key, { ...options, exclusive: false }) }),
  }),
  fault('leaves out the bound backwards', ['cursor-at-or-before', 'cursor-private'], {
    cursor: (sound) => ({
      seek: (key, options) => sound.seek(key, options.reverse === true ? { ...options, exclusive: true } : options),
    }),
  }),
  fault('begins at the beginning also backwards, if there is no key', ['cursor-from-the-ends', 'cursor-on-removed'], {
    cursor: (sound) => ({ seek: (key, options) => sound.seek(key, key === null ? {} : options) }),
  }),
  fault('keeps the key of a seek instead of a copy', ['cursor-private'], {
    cursor: (sound) => {
      let pending: Parameters<Cursor['seek']> | null = null;
      return {
        seek: (...asked) => {
          pending = asked;
        },
        next: (batch) => {
          if (pending !== null) sound.seek(...pending);
          pending = null;
          return sound.next(batch);
        },
      };
    },
  }),
  fault('goes on by the number of entries instead of by key', ['cursor-among-changes', 'cursor-on-removed'], {
    cursor: (_, index) => {
      let asked: Parameters<Cursor['seek']> = [null, {}];
      let handedOut = 0;
      return {
        seek: (key, options) => {
          asked = [key?.slice() ?? null, options];
          handedOut = 0;
        },
        next: (batch) => {
          const again = index.cursor();
          again.seek(...asked);
          const more = nextAfter(again, handedOut, batch);
          handedOut += batch.count;
          return more;
        },
      };
    },
  }),
  fault('has one place for all its cursors', ['cursor-two'], {
    index: (sound) => {
      const only = sound.cursor();
      return { cursor: () => only };
    },
  }),
  fault('loses the entry at which a batch passes 1 MiB', ['cursor-mebibyte'], {
    cursor: (sound) => ({
      next: (batch) => {
        const more = sound.next(batch);
        if (batch.count > 1 && bytesOf(batch) > 1024 * 1024) batch.count--;
        return more;
      },
    }),
  }),
  fault('does not stop at 1 MiB', ['cursor-mebibyte'], {
    cursor: (sound) => ({ next: (batch) => fillUp(sound, batch, batch.limit) }),
  }),
  fault('hands out one entry more than the limit', ['cursor-limit'], {
    cursor: (sound) => ({ next: (batch) => fillUp(sound, batch, batch.limit + 1) }),
  }),
  fault('takes a batch without room for one with room for one', ['cursor-without-limit'], {
    cursor: (sound) => ({
      next: (batch) => {
        const { limit } = batch;
        batch.limit = limit >= 1 ? limit : 1;
        return sound.next(batch);
      },
    }),
  }),
  fault('ends before the last entry that is wanted', ['cursor-wanted-end'], {
    cursor: (sound) => {
      let last: Uint8Array | null = null;
      return {
        seek: (key, options) => {
          last = options.end ?? null;
          sound.seek(key, options);
        },
        next: (batch) => {
          const more = sound.next(batch);
          const end = last;
          if (
            end !== null &&
            !batch.isPacked &&
            batch.count > 0 &&
            Buffer.compare(batch.keys[batch.count - 1]!, end) === 0
          )
            batch.count--;
          return more;
        },
      };
    },
  }),
  fault('goes on for ever at its end', ['empty', 'cursor-end'], {
    cursor: (sound) => ({ next: (batch) => sound.next(batch) || true }),
  }),
  fault('leaves the last batch standing at the end', ['cursor-end'], {
    cursor: (sound) => {
      let count = 0;
      return {
        next: (batch) => {
          const more = sound.next(batch);
          if (!more) batch.count = count;
          count = batch.count;
          return more;
        },
      };
    },
  }),
  fault('ends before it should', ['cursor-at-or-after', 'cursor-limit'], {
    cursor: (sound) => ({ next: (batch) => sound.next(batch) && batch.tags[0] !== 200 }),
  }),
  fault('has no tags if no values are wanted', ['cursor-without-values'], {
    cursor: (sound) => ({
      next: (batch) => {
        const more = sound.next(batch);
        if (!batch.wantsValues) batch.tags.fill(0);
        return more;
      },
    }),
  }),
  fault('packs keys into memory that it uses again', ['cursor-packed-private'], () => {
    const memory = new Uint8Array(65_536);
    return { cursor: (sound) => ({ next: (batch) => sound.next(batch) && packInto(memory, batch) }) };
  }),
  fault('leaves out the values of what it packs', ['cursor-packed'], {
    cursor: (sound) => ({
      next: (batch) => {
        const more = sound.next(batch);
        if (batch.mayPack) for (let i = 0; i < batch.count; i++) batch.values[i] = new Uint8Array(0);
        return more && packInto(new Uint8Array(65_536), batch);
      },
    }),
  }),
  fault('packs entries for who does not take them packed', ['cursor-private', 'cursor-two'], {
    cursor: (sound) => ({
      next: (batch) => {
        const more = sound.next(batch);
        if (more && batch.wantsValues) packInto(new Uint8Array(65_536), batch, true);
        return more;
      },
    }),
  }),
  fault('gives no timestamp with a batch', ['stamp-of-batches', 'stamp-of-gaps'], {
    cursor: (sound) => ({
      next: (batch) => {
        const more = sound.next(batch);
        batch.timestamp = 0;
        return more;
      },
    }),
  }),
  fault('gives no timestamp of pages that it goes past for another', ['stamp-of-gaps'], {
    cursor: (sound) => ({
      next: (batch) => {
        let more = sound.next(batch);
        while (more && batch.count === 0) more = sound.next(batch);
        return more;
      },
    }),
  }),
  fault('gives no timestamp at the end', ['stamp-of-gaps'], {
    cursor: (sound) => ({
      next: (batch) => {
        const more = sound.next(batch);
        if (!more) batch.timestamp = 0;
        return more;
      },
    }),
  }),
];

/** The entries behind the first `skipped` that a cursor has; one at a time, so that none is left in between. */
function nextAfter(cursor: Cursor, skipped: number, batch: EntryBatch): boolean {
  const own = new EntryBatch();
  own.wantsValues = batch.wantsValues;
  for (let left = skipped; left > 0; left -= own.count) {
    own.limit = left;
    if (!cursor.next(own)) break;
  }
  return cursor.next(batch);
}

/** Gathers entries of several pages in one batch. */
function fillUp(cursor: Cursor, batch: EntryBatch, limit: number): boolean {
  const own = new EntryBatch();
  own.wantsValues = batch.wantsValues;
  batch.count = 0;
  while (batch.count < limit) {
    own.limit = limit - batch.count;
    if (!cursor.next(own)) break;
    batch.timestamp = own.timestamp;
    for (let i = 0; i < own.count; i++, batch.count++) {
      batch.keys[batch.count] = own.keys[i]!;
      batch.tags[batch.count] = own.tags[i]!;
      if (own.wantsValues) batch.values[batch.count] = own.values[i]!;
    }
  }
  return batch.count > 0;
}

/** Packs what a sound cursor has handed out, with its values in memory of their own. */
function packInto(memory: Uint8Array<ArrayBuffer>, batch: EntryBatch, always = false): true {
  if ((!batch.mayPack && !always) || !batch.wantsValues || batch.count === 0) return true;
  const { packed, count } = batch;
  let end = 0;
  let valueEnd = 0;
  for (let i = 0; i < count; i++) {
    packed.keys.starts[i] = end;
    memory.set(batch.keys[i]!, end);
    end += batch.keys[i]!.length;
    packed.keys.ends[i] = end;
    packed.valueStarts[i] = valueEnd;
    packed.valueLengths[i] = batch.values[i]!.length;
    valueEnd += batch.values[i]!.length;
  }
  packed.keys.begin(memory, count);
  packed.values = Uint8Array.from(Buffer.concat(batch.values.slice(0, count))).buffer;
  batch.isPacked = true;
  return true;
}

function bytesOf(batch: EntryBatch): number {
  let bytes = 0;
  if (batch.wantsValues) for (let i = 0; i < batch.count; i++) bytes += batch.values[i]!.length;
  return bytes;
}

export const PAGE_FAULTS: readonly IndexFault[] = [
  fault('changes a page before it marks it', ['marks-before-it-changes'], {
    pages: (sound) => ({
      modify: (frame, timestamp) => {
        const at = FIRST_PAGE_TAIL(sound, frame);
        const { u8 } = sound.segmentOf(frame);
        u8[at]! ^= 1;
        try {
          sound.modify(frame, timestamp);
        } finally {
          u8[at]! ^= 1;
        }
      },
    }),
  }),
  fault('marks a page to read', ['reading-marks-nothing'], {
    index: (sound, { pages, root }) => ({
      lookup: (key, into) => {
        pages.latch(root.frame);
        pages.modify(root.frame, 1);
        pages.unlatch(root.frame);
        return sound.lookup(key, into);
      },
    }),
  }),
  fault('keeps a latch when it tells its height', ['latches-given-back'], {
    index: (sound, { pages, root }) => ({
      stats: () => {
        const stats = sound.stats();
        pages.latch(root.frame);
        return stats;
      },
    }),
  }),
  fault('loses the pages that it empties', ['pages-reached-once'], {
    pages: (sound) => ({ free: (frame) => sound.unlatch(frame) }),
  }),
  { name: 'keeps what was removed, hidden', caughtBy: ['pages-come-back'], plant: buryingType },
  {
    name: 'has another number on its pages',
    caughtBy: ['pages-reached-once'],
    plant: (sound) => ({
      name: sound.name,
      limits: sound.limits.bind(sound),
      create: (context, timestamp) => sound.create({ ...context, number: context.number + 100 }, timestamp),
      open: (context) => sound.open({ ...context, number: context.number + 100 }),
    }),
  },
  fault('begins anew when it is opened', ['opens-again'], {
    open: (type, context) => {
      const { pages, root } = context;
      pages.latch(root.frame);
      pages.modify(root.frame, 1);
      pages.unlink(root.frame, root.offset);
      pages.unlatch(root.frame);
      return type.create(context, 1);
    },
  }),
  fault('has one content for all indexes of a store', ['several-in-one-store'], () => {
    const firstOf = new WeakMap<PageStore, Index>();
    return {
      index: (sound, { pages }) => {
        const first = firstOf.get(pages) ?? sound;
        firstOf.set(pages, first);
        return {
          lookup: (key, into) => first.lookup(key, into),
          upsert: (key, tag, value, timestamp) => first.upsert(key, tag, value, timestamp),
          remove: (key, timestamp) => first.remove(key, timestamp),
          cursor: () => first.cursor(),
        };
      },
    };
  }),
  fault('trusts what it read without looking at the version', ['store-tears', 'store-does-all'], {
    pages: () => ({ validate: () => true }),
  }),
  fault('fails where it should start again', ['store-interferes'], {
    pages: (sound) => ({
      validate: (frame, version) => {
        if (!sound.validate(frame, version)) throw new PagewrightError('PW_INTERNAL', 'The page has changed.');
        return true;
      },
    }),
  }),
  fault('remembers in which frame a page was', ['store-relocates', 'store-evicts'], {
    pages: (sound) => {
      const frames = new Map<string, number>();
      return {
        childOfLatched: (parent, offset) => {
          const known = frames.get(`${parent}:${offset}`);
          if (known !== undefined) return known;
          const frame = sound.childOfLatched(parent, offset);
          frames.set(`${parent}:${offset}`, frame);
          return frame;
        },
        child: (parent, offset, version) => {
          const frame = sound.child(parent, offset, version);
          const known = frames.get(`${parent}:${offset}`) ?? frame;
          frames.set(`${parent}:${offset}`, known);
          return known;
        },
      };
    },
  }),
];

export const FAILURE_FAULTS: readonly IndexFault[] = [
  fault(
    'takes a page fault for an entry that is not there',
    ['fault-in-lookup'],
    lookingUp((sound) => (key, into) => {
      try {
        return sound.lookup(key, into);
      } catch (error) {
        if (error instanceof PageFault) return false;
        throw error;
      }
    }),
  ),
  fault('keeps a latch when it meets a page fault', ['fault-in-lookup'], {
    index: (sound, { pages, root }) => ({
      lookup: (key, into) => {
        try {
          return sound.lookup(key, into);
        } catch (error) {
          pages.latch(root.frame);
          throw error;
        }
      },
    }),
  }),
  fault('goes past a batch whose page must be read', ['fault-in-cursor'], {
    index: (sound, { pages }) => ({
      cursor: () => {
        const cursor = sound.cursor();
        return {
          seek: cursor.seek.bind(cursor),
          next: (batch) => {
            try {
              return cursor.next(batch);
            } catch (error) {
              if (!(error instanceof PageFault)) throw error;
              pages.faulting = false;
              cursor.next(batch);
              throw error;
            }
          },
        };
      },
    }),
  }),
  fault(
    'takes a page that cannot be read for an entry that is not there',
    ['load-fails'],
    lookingUp((sound) => (key, into) => {
      try {
        return sound.lookup(key, into);
      } catch (error) {
        if (isPagewrightError(error)) return false;
        throw error;
      }
    }),
  ),
  fault(
    'removes an entry before it puts the new one',
    ['allocation-fails', 'modify-fails'],
    upserting((sound) => (key, tag, value, timestamp) => {
      sound.remove(key, timestamp);
      sound.upsert(key, tag, value, timestamp);
    }),
  ),
  fault(
    'keeps a latch when the store fails',
    ['allocation-fails', 'modify-fails', 'load-fails'],
    upserting((sound, { pages, root }) => (key, tag, value, timestamp) => {
      try {
        sound.upsert(key, tag, value, timestamp);
      } catch (error) {
        pages.latch(root.frame);
        throw error;
      }
    }),
  ),
];

export const CHECK_FAULTS: readonly IndexFault[] = [
  fault('throws what it should report', ['check-survives-damage', 'check-reports-damage'], {
    index: (sound) => ({
      check: (frame, bounds) =>
        sound.check(frame, bounds, (message) => {
          throw new Error(message);
        }),
    }),
  }),
  fault('does not look at the order of keys', ['check-reports-damage'], {
    index: (sound) => ({
      check: (frame, bounds, report) =>
        sound.check(frame, bounds, (message) => {
          if (!/not above|bound|fence|head/.test(message)) report(message);
        }),
    }),
  }),
  fault('reports nothing', ['check-reports-damage'], {
    index: (sound) => ({ check: (frame, bounds) => sound.check(frame, bounds, () => undefined) }),
  }),
  fault('reports what is sound', ['check-clean'], {
    index: (sound) => ({
      check: (frame, bounds, report) => {
        if (bounds.lower !== null) report('There is a lower bound');
        return sound.check(frame, bounds, report);
      },
    }),
  }),
  fault('does not name the last child of a page', ['check-names-children'], {
    index: (sound) => ({
      check: (frame, bounds, report) => new Map([...sound.check(frame, bounds, report)].slice(0, -1)),
    }),
  }),
  fault('checks a word beyond the page', ['check-survives-damage'], {
    index: (sound, { pages }) => ({
      check: (frame, bounds, report) => {
        if (pages.segmentOf(frame).u8[FIRST_PAGE_TAIL(pages, frame) + 1] === 256) report('Never');
        return sound.check(frame, bounds, report);
      },
    }),
  }),
  fault(
    'fails on damage with an error that is none of the engine’s',
    ['reads-survive-damage'],
    lookingUp((sound) => (key, into) => {
      try {
        return sound.lookup(key, into);
      } catch (error) {
        throw isPagewrightError(error, 'PW_CORRUPT_PAGE') ? new RangeError('out of bounds') : error;
      }
    }),
  ),
  fault('estimates with a word beyond the page', ['reads-survive-damage'], {
    index: (sound, { pages, root }) => ({
      estimate: (lower, upper) => {
        const beyond = pages.segmentOf(root.frame).u8[FIRST_PAGE_TAIL(pages, root.frame) + 1];
        return beyond === 256 ? 0 : (sound.estimate?.(lower, upper) ?? 0);
      },
    }),
  }),
];

export const PREFETCH_FAULTS: readonly IndexFault[] = [
  fault('asks for nothing ahead', ['prefetch-brings-pages'], {
    index: () => ({ prefetch: () => undefined }),
  }),
  fault('looks keys up instead of asking ahead', ['prefetch-brings-pages', 'prefetch-changes-nothing'], {
    index: (sound) => ({
      prefetch: (keys) => {
        for (const key of keys) read(sound, key);
      },
    }),
  }),
  fault('removes what it asks ahead for', ['prefetch-changes-nothing'], {
    index: (sound) => ({
      prefetch: (keys) => {
        for (const key of keys) sound.remove(key, 1);
      },
    }),
  }),
];

export const INDEX_FAULTS: readonly IndexFault[] = [
  ...ENTRY_FAULTS,
  ...KEY_FAULTS,
  ...CURSOR_FAULTS,
  ...STAMP_FAULTS,
  ...PAGE_FAULTS,
  ...ROOM_FAULTS,
  ...FAILURE_FAULTS,
  ...PREFETCH_FAULTS,
  ...LOAD_FAULTS,
  ...COUNT_FAULTS,
  ...CHECK_FAULTS,
];
