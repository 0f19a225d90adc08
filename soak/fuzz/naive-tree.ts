/**
 * The entries of a B+-tree, read from its pages as `docs/format/btree.md` describes them, slowly and with none of the
 * code of the index: what the index gives for sound pages must be the same.
 */
import type { PageRig } from './page-rig.js';

export interface NaiveEntry {
  readonly key: Buffer;
  readonly tag: number;
  readonly value: Buffer;
}

const LEAF = 1;
const MOST_LEVELS = 8;

/** All entries of the tree whose root the rig's own root names, in the order in which they stand. */
export function naiveEntries(rig: PageRig): NaiveEntry[] {
  const entries: NaiveEntry[] = [];
  const visit = (frame: number, depth: number): void => {
    if (depth > MOST_LEVELS) throw new Error('the tree has no end');
    const page = rig.bytesOf(frame);
    const count = page.readUInt16LE(32);
    if (page.readUInt16LE(0) === LEAF) {
      for (let i = 0; i < count; i++) entries.push(entryOf(rig, frame, page, i));
      return;
    }
    for (let i = 0; i <= count; i++) visit(rig.child(frame, 128 + 16 * i + 8), depth + 1);
  };
  visit(rig.child(rig.root.frame, rig.root.offset), 0);
  return entries;
}

function entryOf(rig: PageRig, frame: number, page: Buffer, index: number): NaiveEntry {
  const slot = 128 + 12 * index;
  const rest = page.readUInt16LE(slot + 4);
  const suffix = page.readUInt16LE(slot + 6);
  const field = page.readUInt16LE(slot + 8);
  const prefix = page.readUInt16LE(36);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(page.readUInt32LE(slot));
  const key = Buffer.concat([
    page.subarray(prefix, prefix + page.readUInt16LE(34)),
    head.subarray(0, Math.min(suffix, 4)),
    page.subarray(rest, rest + Math.max(0, suffix - 4)),
  ]);
  const own = (page[slot + 11]! & 1) === 1;
  const value = own ? ownValue(rig, frame, page.readUInt32LE(16) + 8 * field) : page.subarray(rest - field, rest);
  return { key, tag: page[slot + 10]!, value: Buffer.from(value) };
}

/** A value on a page of its own, which the swip at an offset names. */
export function ownValue(rig: PageRig, frame: number, offset: number): Buffer {
  const page = rig.bytesOf(rig.child(frame, offset));
  return page.subarray(40, 40 + page.readUInt32LE(32));
}
