/**
 * The plainest index that can be built on pages: a root with one swip for each first byte, and below it a leaf with all
 * entries of that byte, in order. Stands for an index of someone else's in tests of the engine.
 */
import {
  type Cursor,
  type EntryBatch,
  type EntryReference,
  type Index,
  type IndexContext,
  type IndexType,
  PAGE_HEADER_SIZE,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  PagewrightError,
  RESTART,
  SWIP_NULL,
} from '../../src/index.js';

const KIND_ROOT = 1;
const KIND_LEAF = 2;
const FANOUT = 256;
const LEAF_LENGTH = PAGE_HEADER_SIZE;
const LEAF_ENTRIES = PAGE_HEADER_SIZE + 8;

interface Entry {
  readonly key: Buffer;
  readonly tag: number;
  readonly value: Buffer;
}

interface Leaf {
  readonly entries: Entry[];
  readonly timestamp: number;
}

export class FanIndexType implements IndexType {
  constructor(readonly name = 'fan') {}

  limits(pageSize: number) {
    return { maxKeySize: pageSize / 4, maxValueSize: pageSize };
  }

  create(context: IndexContext, timestamp: number): Index {
    const { pages, number, root } = context;
    pages.latch(root.frame);
    pages.modify(root.frame, timestamp);
    const frame = pages.allocate(number, KIND_ROOT, 0, timestamp);
    const base = pages.baseOf(frame);
    const { u8, u16, u32 } = pages.segmentOf(frame);
    u8.fill(0, base + PAGE_HEADER_SIZE, base + pages.pageSize);
    u32[(base + PAGE_SWIP_OFFSET) >>> 2] = PAGE_HEADER_SIZE;
    u16[(base + PAGE_SWIP_COUNT) >>> 1] = FANOUT;
    u16[(base + PAGE_SWIP_STRIDE) >>> 1] = 8;
    pages.link(root.frame, root.offset, frame);
    pages.unlatch(frame);
    pages.unlatch(root.frame);
    return new FanIndex(context);
  }

  open(context: IndexContext): Index {
    return new FanIndex(context);
  }
}

class FanIndex implements Index {
  constructor(private readonly context: IndexContext) {}

  lookup(key: Uint8Array, into: EntryReference): boolean {
    const leaf = this.leaf(key[0]!);
    into.timestamp = leaf.timestamp;
    const entry = leaf.entries.find((candidate) => candidate.key.equals(key));
    if (entry === undefined) return false;
    into.tag = entry.tag;
    if (into.wantsValue) into.value = Uint8Array.from(entry.value);
    return true;
  }

  upsert(key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): void {
    const { entries } = this.leaf(key[0]!);
    const entry = { key: Buffer.from(key), tag, value: Buffer.from(value) };
    const at = entries.findIndex((candidate) => candidate.key.compare(key) >= 0);
    if (at < 0) entries.push(entry);
    else entries.splice(at, entries[at]!.key.equals(key) ? 1 : 0, entry);
    this.write(key[0]!, entries, timestamp);
  }

  remove(key: Uint8Array, timestamp: number): boolean {
    const { entries } = this.leaf(key[0]!);
    const left = entries.filter((candidate) => !candidate.key.equals(key));
    if (left.length === entries.length) return false;
    this.write(key[0]!, left, timestamp);
    return true;
  }

  cursor(): Cursor {
    return new FanCursor((byte) => this.leaf(byte));
  }

  check(): ReadonlyMap<number, { lower: null; upper: null }> {
    return new Map();
  }

  stats() {
    return { height: 2 };
  }

  /** A private copy of the entries that begin with the byte. */
  private leaf(byte: number): Leaf {
    const { pages, root } = this.context;
    for (;;) {
      const above = pages.readVersion(root.frame);
      const top = pages.child(root.frame, root.offset, above);
      if (top === RESTART) continue;
      const version = pages.readVersion(top);
      if (!pages.validate(root.frame, above)) continue;
      const offset = PAGE_HEADER_SIZE + byte * 8;
      const topStamp = pages.segmentOf(top).f64[(pages.baseOf(top) + PAGE_TIMESTAMP) >>> 3]!;
      const word = pages.segmentOf(top).u32[(pages.baseOf(top) + offset) >>> 2];
      if (!pages.validate(top, version)) continue;
      if (word === SWIP_NULL) return { entries: [], timestamp: topStamp };
      const frame = pages.child(top, offset, version);
      if (frame === RESTART) continue;
      const leafVersion = pages.readVersion(frame);
      if (!pages.validate(top, version)) continue;
      const base = pages.baseOf(frame);
      const copy = Buffer.from(pages.segmentOf(frame).u8.slice(base, base + pages.sizeOf(frame)));
      if (pages.validate(frame, leafVersion)) return decode(copy);
    }
  }

  private write(byte: number, entries: readonly Entry[], timestamp: number): void {
    const { pages, root, number } = this.context;
    const bytes = encode(entries);
    const sizeClass = Math.max(0, Math.ceil(Math.log2((LEAF_ENTRIES + bytes.length) / pages.pageSize)));
    if (sizeClass > pages.maxSizeClass) throw new PagewrightError('PW_INTERNAL', 'the test index has too many entries');
    pages.latch(root.frame);
    const top = pages.childOfLatched(root.frame, root.offset);
    pages.latch(top);
    pages.unlatch(root.frame);
    pages.modify(top, timestamp);
    const offset = PAGE_HEADER_SIZE + byte * 8;
    if (pages.segmentOf(top).u32[(pages.baseOf(top) + offset) >>> 2] !== SWIP_NULL) pages.discard(top, offset);
    const frame = pages.allocate(number, KIND_LEAF, sizeClass, timestamp);
    const base = pages.baseOf(frame);
    const { u8, u32 } = pages.segmentOf(frame);
    u8.fill(0, base + PAGE_HEADER_SIZE, base + pages.sizeOf(frame));
    u32[(base + LEAF_LENGTH) >>> 2] = bytes.length;
    u8.set(bytes, base + LEAF_ENTRIES);
    pages.link(top, offset, frame);
    pages.unlatch(frame);
    pages.unlatch(top);
  }
}

class FanCursor implements Cursor {
  private key: Buffer | null = null;
  private exclusive = false;
  private reverse = false;
  private byte = 0;

  constructor(private readonly leaf: (byte: number) => Leaf) {}

  seek(key: Uint8Array | null, options: { readonly exclusive?: boolean; readonly reverse?: boolean }): void {
    this.key = key === null ? null : Buffer.from(key);
    this.exclusive = options.exclusive === true;
    this.reverse = options.reverse === true;
    this.byte = key?.[0] ?? (this.reverse ? FANOUT - 1 : 0);
  }

  next(batch: EntryBatch): boolean {
    batch.count = 0;
    if (this.byte < 0 || this.byte >= FANOUT) return false;
    const { entries, timestamp } = this.leaf(this.byte);
    batch.timestamp = timestamp;
    if (this.reverse) entries.reverse();
    for (const entry of entries) {
      if (!this.isAhead(entry.key)) continue;
      if (batch.count === batch.limit) return true;
      batch.keys[batch.count] = Uint8Array.from(entry.key);
      batch.tags[batch.count] = entry.tag;
      if (batch.wantsValues) batch.values[batch.count] = Uint8Array.from(entry.value);
      batch.count++;
      this.key = entry.key;
      this.exclusive = true;
    }
    this.byte += this.reverse ? -1 : 1;
    return true;
  }

  private isAhead(key: Buffer): boolean {
    if (this.key === null) return true;
    const order = key.compare(this.key);
    return order === 0 ? !this.exclusive : this.reverse ? order < 0 : order > 0;
  }
}

function encode(entries: readonly Entry[]): Buffer {
  return Buffer.concat(
    entries.map(({ key, tag, value }) => {
      const head = Buffer.alloc(8);
      head.writeUInt16LE(key.length, 0);
      head.writeUInt8(tag, 2);
      head.writeUInt32LE(value.length, 4);
      return Buffer.concat([head, key, value]);
    }),
  );
}

function decode(page: Buffer): Leaf {
  const entries: Entry[] = [];
  const end = LEAF_ENTRIES + page.readUInt32LE(LEAF_LENGTH);
  for (let at = LEAF_ENTRIES; at < end; ) {
    const value = at + 8 + page.readUInt16LE(at);
    const next = value + page.readUInt32LE(at + 4);
    entries.push({
      key: page.subarray(at + 8, value),
      tag: page.readUInt8(at + 2),
      value: page.subarray(value, next),
    });
    at = next;
  }
  return { entries, timestamp: page.readDoubleLE(PAGE_TIMESTAMP) };
}
