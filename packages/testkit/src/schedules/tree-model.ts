/**
 * What an index must answer while operations overlap: a look-up gives what its key had at some instant between its
 * beginning and its end. The model keeps, for each look-up and scan under way, all that the keys have had since it began.
 *
 * Must hold: one operation at a time writes a key, as the locks of transactions see to.
 */
import { TAG_TOMBSTONE, TAG_VALUE } from '@pagewright/core';

/** What a write left: a value that tells which it is, or absence. */
export interface Version {
  /** Unique; 0 is the absence before any write. */
  readonly id: number;
  /** Bytes of the value; -1 is absence. */
  readonly size: number;
  /** Timestamp of the commit. */
  readonly stamp: number;
}

export const ABSENT = -1;
export const NEVER_WRITTEN: Version = { id: 0, size: ABSENT, stamp: 0 };

/** A read under way. */
export interface Watch {
  /** Keys that have changed since it began, or were about to, with all that they have had. */
  readonly touched: Map<string, Set<Version>>;
}

export class TreeModel {
  /** What each key has now: one version, or while it is being written the old one and the new one. */
  readonly current = new Map<string, readonly Version[]>();
  readonly #watches = new Set<Watch>();
  #lastId = 0;

  constructor(
    content: ReadonlyMap<string, Version> = new Map(),
    /** Of the last commit. */
    public timestamp = 10,
  ) {
    for (const [key, version] of content) {
      this.current.set(key, [version]);
      this.#lastId = Math.max(this.#lastId, version.id);
    }
  }

  isBeingWritten(key: string): boolean {
    return this.#possible(key).length > 1;
  }

  beginWrite(key: string, size: number): Version {
    if (this.isBeingWritten(key)) throw new Error(`Two writes of ${key} overlap: the schedule is at fault`);
    const before = this.#possible(key);
    const old = before[0] as Version;
    this.timestamp++;
    // The removal of what is not there changes no page.
    const stamp = size === ABSENT && old.size === ABSENT ? old.stamp : this.timestamp;
    const version = { id: ++this.#lastId, size, stamp };
    for (const { touched } of this.#watches) {
      const versions = touched.get(key) ?? new Set(before);
      versions.add(version);
      touched.set(key, versions);
    }
    this.current.set(key, [...before, version]);
    return version;
  }

  endWrite(key: string): void {
    this.current.set(key, this.#possible(key).slice(-1));
  }

  beginRead(): Watch {
    const touched = new Map<string, Set<Version>>();
    for (const [key, versions] of this.current) if (versions.length > 1) touched.set(key, new Set(versions));
    const watch = { touched };
    this.#watches.add(watch);
    return watch;
  }

  endRead(watch: Watch): void {
    this.#watches.delete(watch);
  }

  /** What a key may have been for this read. */
  possible(watch: Watch, key: string): readonly Version[] {
    const touched = watch.touched.get(key);
    return touched === undefined ? this.#possible(key) : [...touched];
  }

  /** A read has seen a version: whoever begins later does not see an older one. */
  seen(key: string, version: Version): void {
    const versions = this.#possible(key);
    if (versions.length > 1 && versions[versions.length - 1] === version) this.current.set(key, [version, version]);
  }

  /** What is there when nothing is being written, absent keys left out. */
  content(): Map<string, Version> {
    const content = new Map<string, Version>();
    for (const [key, versions] of this.current) {
      const version = versions[versions.length - 1] as Version;
      if (version.size !== ABSENT) content.set(key, version);
    }
    return content;
  }

  #possible(key: string): readonly Version[] {
    return this.current.get(key) ?? [NEVER_WRITTEN];
  }
}

/** Bytes that tell which value they are, and of which length. */
export function valueBytes(id: number, size: number): Uint8Array {
  const value = new Uint8Array(size);
  for (let at = 0; at < size; at++) value[at] = id * 31 + at * 7 + (at >>> 8) + (id >>> 8) * 13;
  return value;
}

/** The version among these whose value this is, or undefined. */
export function versionWith(value: Uint8Array | null, versions: readonly Version[]): Version | undefined {
  return versions.find((version) => {
    if (value === null || version.size === ABSENT) return value === null && version.size === ABSENT;
    return version.size === value.length && Buffer.compare(valueBytes(version.id, version.size), value) === 0;
  });
}

/** The tag of an entry, which the index keeps unread. A tombstone has no value: none that has one is called so. */
export function tagOf({ id, size }: Version): number {
  const tag = id & 0xff;
  return tag === TAG_TOMBSTONE && size > 0 ? TAG_VALUE : tag;
}

/** The same for a read that gives the tag as well: of versions without a byte only that tells which it is. */
export function versionRead(value: Uint8Array | null, tag: number, versions: readonly Version[]): Version | undefined {
  const tagged = versions.filter((version) => tagOf(version) === tag);
  return versionWith(value, tagged) ?? versionWith(value, versions);
}

export function describe(versions: readonly Version[]): string {
  const names = versions.map(({ id, size }) => (size === ABSENT ? `absent(${id})` : `value ${id} of ${size} bytes`));
  return names.join(' or ');
}
