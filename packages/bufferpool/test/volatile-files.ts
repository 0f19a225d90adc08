/**
 * Files in memory that lose power: what was written since the last sync of a file may be lost in part, in any
 * combination, torn at sectors of 512 bytes. Every choice comes from a seed.
 */
import { type IoBackend, type IoFile, type IoOperation, PagewrightError } from '@pagewright/core';

const SECTOR = 512;

/** A small generator with a printable state (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Content {
  durable = Buffer.alloc(0);
  live = Buffer.alloc(0);
  pending: { offset: number; bytes: Buffer }[] = [];
}

export class VolatileFiles implements IoBackend {
  readonly name = 'volatile';
  readonly contents = new Map<string, Content>();
  /** Operations that change a file, so far. */
  operations = 0;
  /** The operation at which power fails: it and all later ones throw. */
  failAt = Number.POSITIVE_INFINITY;
  /** The operation that reports a full disk, once or for good. */
  fullFrom = Number.POSITIVE_INFINITY;

  probe() {
    return { supported: true };
  }

  async open(path: string): Promise<IoFile> {
    const content = this.contents.get(path) ?? new Content();
    this.contents.set(path, content);
    return new VolatileFile(this, path, content);
  }

  async exists(path: string) {
    return this.contents.has(path);
  }
  async list(): Promise<string[]> {
    return [];
  }
  async makeDirectory() {}
  async remove(path: string) {
    this.contents.delete(path);
  }
  async removeDirectory() {}
  async rename() {}
  async syncDirectory() {}

  step(): void {
    if (this.operations++ >= this.failAt)
      throw new PagewrightError('PW_IO', 'Power has failed.', { details: { errno: 'EIO' } });
  }

  /** The files as they may be after power has failed now; `() => 1` loses nothing. */
  crash(random: () => number): VolatileFiles {
    const after = new VolatileFiles();
    for (const [path, content] of this.contents) {
      const image = Buffer.alloc(content.live.length);
      content.durable.copy(image);
      const lossy = random();
      for (const write of content.pending) {
        for (let at = 0; at < write.bytes.length; at += SECTOR) {
          if (random() <= lossy)
            write.bytes.copy(image, write.offset + at, at, Math.min(at + SECTOR, write.bytes.length));
        }
      }
      const survived = new Content();
      survived.durable = Buffer.from(image);
      survived.live = Buffer.from(image);
      after.contents.set(path, survived);
    }
    return after;
  }
}

class VolatileFile implements IoFile {
  constructor(
    private readonly files: VolatileFiles,
    readonly path: string,
    private readonly content: Content,
  ) {}

  size() {
    return this.content.live.length;
  }
  readSync(buffer: Uint8Array, offset: number) {
    if (offset + buffer.length > this.content.live.length) {
      throw new PagewrightError('PW_IO', `End of ${this.path}.`, { details: { errno: 'EOF' } });
    }
    buffer.set(this.content.live.subarray(offset, offset + buffer.length));
  }
  async read(buffer: Uint8Array, offset: number) {
    await Promise.resolve();
    this.readSync(buffer, offset);
  }
  writeSync(buffer: Uint8Array, offset: number) {
    this.files.step();
    const bytes = Buffer.from(buffer);
    const { content } = this;
    if (offset + bytes.length > content.live.length) {
      if (this.files.operations > this.files.fullFrom) throw new PagewrightError('PW_FULL', 'The disk is full.');
      content.live = Buffer.concat([content.live, Buffer.alloc(offset + bytes.length - content.live.length)]);
    }
    bytes.copy(content.live, offset);
    content.pending.push({ offset, bytes });
  }
  async write(buffer: Uint8Array, offset: number) {
    await Promise.resolve();
    this.writeSync(buffer, offset);
  }
  syncSync() {
    this.files.step();
    this.content.durable = Buffer.from(this.content.live);
    this.content.pending = [];
  }
  async sync() {
    await Promise.resolve();
    this.syncSync();
  }
  truncateSync(size: number) {
    this.files.step();
    const image = Buffer.alloc(size);
    this.content.live.copy(image);
    this.content.live = image;
  }
  async truncate(size: number) {
    this.truncateSync(size);
  }
  allocateSync(offset: number, length: number) {
    const from = Math.max(offset, this.content.live.length);
    if (offset + length > from) this.writeSync(Buffer.alloc(offset + length - from), from);
  }
  async allocate(offset: number, length: number) {
    this.allocateSync(offset, length);
  }
  submitSync(operations: readonly IoOperation[], options?: { readonly sync?: boolean }) {
    for (const { kind, buffer, offset } of operations) {
      if (kind === 'read') this.readSync(buffer, offset);
      else this.writeSync(buffer, offset);
    }
    if (options?.sync) this.syncSync();
  }
  async submit(operations: readonly IoOperation[], options?: { readonly sync?: boolean }) {
    await Promise.resolve();
    for (const operation of operations) {
      this.submitSync([operation]);
      await Promise.resolve();
    }
    if (options?.sync) this.syncSync();
  }
  async lock() {
    return { release: async () => {} };
  }
  async close() {}
}
