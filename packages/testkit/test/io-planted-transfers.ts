/** Faults in what is read and written, and what makes it durable. */
import { type IoOperation, PagewrightError } from '@pagewright/core';

import { type PlantedFault, transfers, turn } from './io-fault.js';

export const TRANSFER_FAULTS: readonly PlantedFault[] = [
  {
    what: 'a single byte is not written',
    breaks: ['any-place', 'reads-what-was-written', 'cut-bytes-are-gone'],
    file: (file) => transfers('write', (buffer, offset) => buffer.length !== 1 && file.writeSync(buffer, offset)),
  },
  {
    what: 'a read is answered from what the open file last read there',
    breaks: ['open-files-agree'],
    file: (file) => {
      const cache = new Map<string, Uint8Array>();
      const changing = ['write', 'writeSync', 'submit', 'submitSync', 'truncate', 'truncateSync', 'allocate'] as const;
      const emptying = changing.map((name) => {
        const change = (file[name] as (...given: unknown[]) => unknown).bind(file);
        const emptied = (...given: unknown[]): unknown => {
          cache.clear();
          return change(...given);
        };
        return [name, emptied];
      });
      const read = (buffer: Uint8Array, offset: number): void => {
        const place = `${file.size()}: ${offset}+${buffer.length}`;
        const known = cache.get(place);
        if (known === undefined) file.readSync(buffer, offset);
        else buffer.set(known);
        cache.set(place, buffer.slice());
      };
      return { ...transfers('read', read), ...Object.fromEntries(emptying) };
    },
  },
  {
    what: 'offsets have 32 bits',
    breaks: ['far-places'],
    file: (file) => ({
      ...transfers('read', (buffer, offset) => file.readSync(buffer, offset >= 2 ** 32 ? offset >>> 0 : offset)),
      ...transfers('write', (buffer, offset) => file.writeSync(buffer, offset >= 2 ** 32 ? offset >>> 0 : offset)),
    }),
  },
  {
    what: 'a write from an aligned address begins at a boundary, wherever it should',
    breaks: ['any-place'],
    file: (file) =>
      transfers('write', (buffer, offset) => {
        const isAligned = buffer.byteOffset > 0 && buffer.byteOffset % 512 === 0;
        file.writeSync(buffer, isAligned && offset % 512 === 0 && offset % 4096 !== 0 ? offset - 512 : offset);
      }),
  },
  {
    what: 'a batch takes no more transfers than the rings of a kernel have places',
    breaks: ['ten-thousand'],
    file: (file) => ({
      submit: (operations, options) => file.submit(operations.slice(0, 4096), options),
    }),
  },
  {
    what: 'a negative offset is taken for the beginning',
    breaks: ['no-such-place'],
    file: (file) => transfers('write', (buffer, offset) => file.writeSync(buffer, offset < 0 ? 0 : offset)),
  },
  {
    what: 'a large read ends at a MiB',
    breaks: ['large-transfer', 'write-extends'],
    file: (file) => transfers('read', (buffer, offset) => file.readSync(buffer.subarray(0, 1 << 20), offset)),
  },
  {
    what: 'the form that returns a promise writes the last byte of a large write only',
    breaks: ['large-transfer'],
    file: (file) => ({
      write: (buffer, offset) => file.write(buffer.length > 1 << 21 ? buffer.subarray(-1) : buffer, offset),
    }),
  },
  {
    what: 'reading beyond the end gives zeros',
    breaks: ['read-beyond-end', 'batch-error'],
    file: (file) => {
      const read = (buffer: Uint8Array, offset: number): void => {
        const within = Math.max(0, Math.min(buffer.length, file.size() - offset));
        if (within > 0) file.readSync(buffer.subarray(0, within), offset);
        buffer.fill(0, within);
      };
      const submit = (operations: readonly IoOperation[], { sync = false } = {}): void => {
        for (const { kind, buffer, offset } of operations) {
          if (kind === 'read') read(buffer, offset);
          else file.writeSync(buffer, offset);
        }
        if (sync) file.syncSync();
      };
      return {
        ...transfers('read', (buffer, offset) => (offset >= 0 ? read(buffer, offset) : file.readSync(buffer, offset))),
        submit: async (operations, options) => submit(operations, options),
        submitSync: submit,
      };
    },
  },
  {
    what: 'an error at the end has no details',
    breaks: ['read-beyond-end', 'empty-transfer'],
    file: (file) =>
      transfers('read', (buffer, offset) => {
        if (offset + buffer.length > file.size()) throw new PagewrightError('PW_IO', 'the file ends there');
        file.readSync(buffer, offset);
      }),
  },
  {
    what: 'an empty read beyond the end is one beyond the end',
    breaks: ['empty-transfer'],
    file: (file) =>
      transfers('read', (buffer, offset) => {
        if (buffer.length === 0 && offset > file.size()) file.readSync(new Uint8Array(1), offset);
        file.readSync(buffer, offset);
      }),
  },
  {
    what: 'a write beyond the end leaves what happens to be there in between',
    breaks: [
      'write-extends',
      'cut-bytes-are-gone',
      'forms-agree',
      'empty-transfer',
      'allocate-keeps-what-is-written-meanwhile',
    ],
    file: (file) =>
      transfers('write', (buffer, offset) => {
        const end = file.size();
        file.writeSync(buffer, offset);
        if (offset > end) file.writeSync(new Uint8Array(Math.min(3, offset - end)).fill(0x55), end);
      }),
  },
  {
    what: 'a write is filled up to its sector',
    breaks: ['write-back', 'any-place', 'write-keeps-what-is-around', 'sync-makes-durable'],
    file: (file) =>
      transfers('write', (buffer, offset) => {
        file.writeSync(buffer, offset);
        const end = offset + buffer.length;
        if (end < file.size() && end % 512 > 0 && offset > 0) file.writeSync(new Uint8Array(1), end);
      }),
  },
  {
    what: 'a transfer takes the whole buffer that a view is on',
    breaks: ['any-place', 'views', 'shared-memory'],
    file: (file) =>
      transfers('read', (buffer, offset) => file.readSync(new Uint8Array(buffer.buffer, 0, buffer.length), offset)),
  },
  {
    what: 'what is read into shared memory goes to a copy',
    breaks: ['any-place', 'shared-memory'],
    file: (file) =>
      transfers('read', (buffer, offset) =>
        file.readSync(buffer.buffer instanceof SharedArrayBuffer ? buffer.slice() : buffer, offset),
      ),
  },
  {
    what: 'the form that waits in place writes a byte further on',
    breaks: ['forms-agree'],
    file: (file) => ({ writeSync: (buffer, offset) => file.writeSync(buffer, offset === 1000 ? 1001 : offset) }),
  },
  {
    what: 'reads at once share one buffer on their way',
    breaks: ['many-at-once'],
    file: (file) => {
      const staging = new Uint8Array(8 << 20);
      return {
        read: async (buffer, offset) => {
          file.readSync(staging.subarray(0, buffer.length), offset);
          await turn();
          buffer.set(staging.subarray(0, buffer.length));
        },
      };
    },
  },
  {
    what: 'the size is that of when the file was opened, or larger by what was written through it',
    breaks: ['allocate-extends', 'size', 'truncate-cuts'],
    file: (file) => {
      let size = file.size();
      return {
        size: () => {
          size = Math.max(size, file.size());
          return size;
        },
      };
    },
  },
  {
    what: 'a truncation to a larger size does nothing',
    breaks: ['truncate-extends', 'cut-bytes-are-gone', 'sync-makes-size-durable'],
    file: (file) => ({
      truncate: (size) => file.truncate(Math.min(size, file.size())),
      truncateSync: (size) => file.truncateSync(Math.min(size, file.size())),
    }),
  },
  {
    what: 'bytes that were cut off come back',
    breaks: ['cut-bytes-are-gone', 'sync-makes-size-durable'],
    file: (file) => {
      let cut: { at: number; bytes: Uint8Array } | null = null;
      const truncate = (size: number): void => {
        const length = file.size() - size;
        if (length > 0 && size > 0) {
          const bytes = new Uint8Array(length);
          file.readSync(bytes, size);
          cut = { at: size, bytes };
        }
        file.truncateSync(size);
        if (length < 0 && cut?.at === size + length) {
          file.writeSync(cut.bytes.subarray(0, -length), cut.at);
        }
      };
      return { truncate: async (size) => truncate(size), truncateSync: truncate };
    },
  },
  {
    what: 'an allocation sets the size',
    breaks: ['allocate-never-shrinks', 'allocate-keeps-what-is-written-meanwhile'],
    file: (file) => ({
      allocate: (offset, length) => file.truncate(offset + length),
      allocateSync: (offset, length) => file.truncateSync(offset + length),
    }),
  },
  {
    what: 'an allocation writes zeros over its range',
    breaks: [
      'allocate-extends',
      'allocate-never-shrinks',
      'allocate-keeps-what-is-written-meanwhile',
      'cut-bytes-are-gone',
      'forms-agree',
      'sync-makes-size-durable',
    ],
    file: (file) => ({
      allocate: async (offset, length) => file.write(new Uint8Array(length), offset),
      allocateSync: (offset, length) => file.writeSync(new Uint8Array(length), offset),
    }),
  },
  {
    what: 'an allocation wipes out what is written while it looks for the end',
    breaks: ['allocate-keeps-what-is-written-meanwhile'],
    file: (file) => ({
      allocate: async (offset, length) => {
        const size = file.size();
        await turn();
        if (offset + length > size) await file.write(new Uint8Array(offset + length - size), size);
      },
    }),
  },
  {
    what: 'the last transfer of a batch is forgotten',
    breaks: [
      'any-place',
      'batch',
      'batch-of-both',
      'large-batch',
      'size',
      'close-waits',
      'read-only',
      'batch-sync-makes-durable',
    ],
    file: (file) => ({
      submit: (operations, options) => file.submit(operations.slice(0, -1), options),
      submitSync: (operations, options) => file.submitSync(operations.slice(0, -1), options),
    }),
  },
  {
    what: 'a batch takes 1,024 transfers and drops the others',
    breaks: ['large-batch'],
    file: (file) => ({ submit: (operations, options) => file.submit(operations.slice(0, 1024), options) }),
  },
  {
    what: 'a batch that fails lets its other transfers go on',
    breaks: ['batch-error', 'close-waits'],
    file: (file) => ({
      submit: async (operations, options = {}) => {
        const running = operations.map(async ({ kind, buffer, offset }, at) => {
          for (let left = at % 7; left > 0; left--) await turn();
          await (kind === 'read' ? file.read(buffer, offset) : file.write(buffer, offset));
        });
        await Promise.all(running);
        if (options.sync === true) await file.sync();
      },
    }),
  },
  {
    what: 'a batch forgets its sync',
    breaks: ['batch-sync-makes-durable'],
    file: (file) => ({ submit: (operations) => file.submit(operations) }),
  },
  {
    what: 'a sync does nothing',
    breaks: ['sync-after-write-back', 'sync-makes-durable', 'sync-makes-size-durable'],
    file: (file) => ({ sync: () => file.submit([]), syncSync: () => file.submitSync([]) }),
  },
  {
    what: 'a directory is not synced',
    breaks: [
      'sync-after-write-back',
      'lock-of-the-dead',
      'pin-of-the-dead',
      'sync-makes-durable',
      'batch-sync-makes-durable',
      'sync-makes-size-durable',
      'sync-directory-makes-durable',
    ],
    backend: () => ({ syncDirectory: async () => {} }),
  },
  {
    what: 'bringing a range to the device extends the file to its end',
    breaks: ['write-back'],
    file: (file) => ({
      writeBack: async (offset, length) => {
        if (offset + length <= 2 ** 20) await file.allocate(offset, length);
        return (await file.writeBack?.(offset, length)) ?? false;
      },
    }),
  },
  {
    what: 'after a range was brought to the device a sync has nothing to do',
    breaks: ['sync-after-write-back'],
    file: (file) => {
      let isOut = false;
      return {
        writeBack: async (offset, length) => {
          const isDone = (await file.writeBack?.(offset, length)) ?? false;
          isOut = true;
          return isDone;
        },
        sync: async () => {
          if (!isOut) await file.sync();
        },
      };
    },
  },
  {
    what: 'bringing a range to the device takes anything for a range',
    breaks: ['write-back-refused'],
    file: () => ({ writeBack: async () => true }),
  },
];
