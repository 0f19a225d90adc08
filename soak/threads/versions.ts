/**
 * What threads tell each other of the keys that they write: for each key the version that its writer is about to leave and
 * the one that it has left. One thread writes a key; all read it. A read that began when `left` was 5 and ended when
 * `begun` was 7 gives version 5, 6 or 7: anything else is wrong.
 *
 * What a version is follows from its number and its key, so that any thread can tell a right value from a wrong one.
 */
const ABSENT_EVERY = 5;
/** A version in so many has a page of its own, with pages of 4 KiB. */
const LARGE_EVERY = 23;

export class Versions {
  readonly #begun: Int32Array;
  readonly #left: Int32Array;

  static bytes(keys: number): number {
    return keys * 8;
  }

  constructor(
    readonly keys: number,
    readonly memory: SharedArrayBuffer,
  ) {
    this.#begun = new Int32Array(memory, 0, keys);
    this.#left = new Int32Array(memory, keys * 4, keys);
  }

  /** The version that the calling thread, who alone writes this key, is to leave next. Throws if another one is about to leave a version. */
  begin(key: number): number {
    const version = Atomics.add(this.#begun, key, 1) + 1;
    if (this.least(key) !== version - 1) throw new Error(`Key ${key} is written by two threads at the same time`);
    return version;
  }
  end(key: number, version: number): void {
    Atomics.store(this.#left, key, version);
  }

  /** The lowest version that a read that begins now may give. */
  least(key: number): number {
    return Atomics.load(this.#left, key);
  }
  /** The highest version that a read that is over may have given. */
  most(key: number): number {
    return Atomics.load(this.#begun, key);
  }

  /** Throws unless what was read is one of the versions from `least` to now. */
  check(key: number, least: number, found: Uint8Array | null): void {
    const most = this.most(key);
    for (let version = least; version <= most; version++) if (isVersion(key, version, found)) return;
    throw new Error(`Key ${key} has ${describe(found)}, and may have versions ${least} to ${most}`);
  }

  /** Whether the key was there all the time since `least` was read. */
  mustBeThere(key: number, least: number): boolean {
    for (let version = least, most = this.most(key); version <= most; version++) if (isAbsent(version)) return false;
    return true;
  }
}

export function isAbsent(version: number): boolean {
  return version % ABSENT_EVERY === 0;
}

/** The bytes of a version that is a value. */
export function bytesOf(key: number, version: number): Uint8Array {
  const size = version % LARGE_EVERY === 0 ? 2000 + ((key * 37) % 3000) : 12 + ((key * 31 + version * 17) % 240);
  const value = new Uint8Array(size);
  const view = new DataView(value.buffer);
  view.setUint32(0, key);
  view.setUint32(4, version);
  for (let at = 8; at < size; at++) value[at] = key + version * 7 + at;
  return value;
}

export function keyOf(key: number): Uint8Array {
  return Buffer.from(`key/${String(key).padStart(6, '0')}/${'x'.repeat(key % 20)}`);
}

export function numberOf(key: Uint8Array): number {
  return Number(Buffer.from(key.buffer, key.byteOffset + 4, 6).toString('latin1'));
}

/** What was read, for a message. */
export function describe(found: Uint8Array | null): string {
  if (found === null) return 'no value';
  const view = new DataView(found.buffer, found.byteOffset);
  return found.length < 8
    ? `${found.length} bytes`
    : `${found.length} bytes of key ${view.getUint32(0)}, version ${view.getUint32(4)}`;
}

function isVersion(key: number, version: number, found: Uint8Array | null): boolean {
  if (isAbsent(version) || found === null) return isAbsent(version) && found === null;
  return Buffer.compare(bytesOf(key, version), found) === 0;
}
