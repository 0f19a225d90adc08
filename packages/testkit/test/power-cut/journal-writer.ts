/** A journal as the preloaded layer would write it, put together record by record. */

const KINDS = ['create', 'adopt', 'write', 'resize', 'extend', 'sync', 'sync-directory', 'synced', 'cut-short', 'link'];
const MORE = ['unlink', 'rename', 'make-directory', 'remove-directory'];

export class JournalWriter {
  readonly #records: Buffer[] = [];

  get bytes(): Buffer {
    return Buffer.concat(this.#records);
  }

  /** Returns the sequence of the record. */
  add(
    kind: string,
    { object = 0, offset = 0, reference = 0, data = '' as string | Uint8Array }: Partial<Fields> = {},
  ): number {
    const payload = Buffer.from(data as string);
    const header = Buffer.alloc(48);
    const sequence = this.#records.length + 1;
    header.write('PWCJ', 0);
    header.writeUInt32LE([...KINDS, ...MORE].indexOf(kind) + 1, 4);
    for (const [at, value] of [sequence, object, offset, payload.length, reference].entries()) {
      header.writeBigUInt64LE(BigInt(value), 8 + at * 8);
    }
    this.#records.push(Buffer.concat([header, payload]));
    return sequence;
  }

  /** A sync of the file, with what it covers before it and nothing in between. */
  sync(object: number, errno = 0): void {
    this.add('synced', { reference: this.add('sync', { object }), offset: errno });
  }

  syncDirectory(path = ''): void {
    this.add('synced', { reference: this.add('sync-directory', { data: path }) });
  }

  /** A new file whose name is durable. */
  file(object: number, path: string): void {
    this.add('create', { object, data: path });
    this.syncDirectory();
  }
}

interface Fields {
  readonly object: number;
  readonly offset: number;
  readonly reference: number;
  readonly data: string | Uint8Array;
}
