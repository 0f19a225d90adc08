/** An index that hides what is removed instead of removing it: every entry has a byte before its value that says whether it is there. */
import { EntryBatch, EntryReference, type Index, type IndexType } from '@pagewright/core';
import { altered } from './altered-index.js';

const BURIED = Uint8Array.of(0);

export function buryingType(sound: IndexType): IndexType {
  return altered(sound, {
    limits: ({ maxKeySize, maxValueSize }) => ({ maxKeySize, maxValueSize: maxValueSize - 1 }),
    index: (index) => ({
      lookup: (key, into) => {
        const own = new EntryReference();
        const isThere = find(index, key, own);
        into.timestamp = own.timestamp;
        if (!isThere) return false;
        into.tag = own.tag;
        if (into.wantsValue) into.value = own.value.slice(1);
        return true;
      },
      upsert: (key, tag, value, timestamp) =>
        index.upsert(key, tag, Buffer.concat([Uint8Array.of(1), value]), timestamp),
      remove: (key, timestamp) => {
        if (!find(index, key, new EntryReference())) return false;
        index.upsert(key, 0, BURIED, timestamp);
        return true;
      },
    }),
    cursor: (cursor) => ({
      next: (batch) => {
        const own = new EntryBatch();
        own.limit = batch.limit;
        const more = cursor.next(own);
        batch.count = 0;
        batch.timestamp = own.timestamp;
        for (let i = 0; i < own.count; i++) {
          const value = own.values[i]!;
          if (value[0] === 0) continue;
          batch.keys[batch.count] = own.keys[i]!;
          batch.tags[batch.count] = own.tags[i]!;
          if (batch.wantsValues) batch.values[batch.count] = value.slice(1);
          batch.count++;
        }
        return more;
      },
    }),
  });
}

function find(index: Index, key: Uint8Array, into: EntryReference): boolean {
  return index.lookup(key, into) && into.value[0] !== 0;
}
