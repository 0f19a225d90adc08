/** Backends with one fault each, as they are easily written, and the clauses that should find it. */
import {
  type FileLock,
  type IoBackend,
  type IoFile,
  type IoOperation,
  type OpenFlags,
  PagewrightError,
  type ReaderPin,
} from '@pagewright/core';

export interface PlantedFault {
  readonly what: string;
  /** Ids of the clauses that it breaks; of no others. */
  readonly breaks: readonly string[];
  /** What is different of each file that is opened. */
  readonly file?: (file: IoFile, flags: OpenFlags, backend: IoBackend) => Partial<IoFile>;
  /** What is different of the backend. */
  readonly backend?: (backend: IoBackend) => Partial<IoBackend>;
}

/** The backend with the fault. */
export function faulty(sound: IoBackend, { file, backend }: PlantedFault): IoBackend {
  const opening: Partial<IoBackend> = {
    open: async (path, flags) => {
      const opened = await sound.open(path, flags);
      return file === undefined ? opened : changed(opened, file(opened, flags, sound));
    },
  };
  return changed(sound, { ...opening, ...backend?.(sound) });
}

/** Behaves like the target, but for what is given. */
function changed<Target extends object>(target: Target, changes: Partial<Target>): Target {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(name in changes ? changes : target, name);
      return typeof value === 'function' && !(name in changes) ? value.bind(target) : value;
    },
  });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Reads and writes of one file, both forms changed alike. */
function transfers(kind: 'read' | 'write', change: (buffer: Uint8Array, offset: number) => unknown): Partial<IoFile> {
  const both = kind === 'read' ? (['read', 'readSync'] as const) : (['write', 'writeSync'] as const);
  return {
    [both[0]]: async (buffer: Uint8Array, offset: number) => void change(buffer, offset),
    [both[1]]: change,
  };
}

/** What was published last, if it was not released, and where. */
let unreleased: { readonly text: string; readonly backend: IoBackend } | null = null;

export const PLANTED_FAULTS: readonly PlantedFault[] = [
  {
    what: 'probing leaves a file behind',
    breaks: ['probe'],
    backend: (io) => ({
      probe: () => {
        void io.open('/store/probe', { create: true });
        return { supported: true };
      },
    }),
  },
  {
    what: 'opening creates what is missing',
    breaks: ['open-missing', 'remove'],
    backend: (io) => ({ open: (path, flags) => io.open(path, { ...flags, create: true }) }),
  },
  {
    what: 'opening in place creates what is missing',
    breaks: ['open-in-place'],
    backend: (io) => ({ openSync: (path, flags) => io.openSync(path, { ...flags, create: true }) }),
  },
  {
    what: 'opening in place is opening for writing',
    breaks: ['open-in-place'],
    backend: (io) => ({ openSync: (path, { create = false }) => io.openSync(path, { create }) }),
  },
  {
    what: 'creating empties what is there',
    breaks: ['open-keeps'],
    backend: (io) => ({
      open: async (path, flags) => {
        const file = await io.open(path, flags);
        if (flags.create === true && flags.readOnly !== true) file.truncateSync(0);
        return file;
      },
    }),
  },
  {
    what: 'opening for reading alone is opening',
    breaks: ['read-only'],
    backend: (io) => ({ open: (path, { create = false }) => io.open(path, { create }) }),
  },
  {
    what: 'a truncation of a file that is open for reading is ignored',
    breaks: ['read-only'],
    file: (_, { readOnly }) => (readOnly === true ? { truncate: async () => {}, truncateSync: () => {} } : {}),
  },
  {
    what: 'a new file does not know where it is',
    breaks: ['open-creates'],
    backend: (io) => ({
      open: async (path, flags) => {
        const file = await io.open(path, flags);
        return path.endsWith('/new') ? changed(file, { path: 'new' }) : file;
      },
    }),
  },
  {
    what: 'a file without changes cannot be synced',
    breaks: ['sync-any-time', 'empty-batch', 'close-waits'],
    file: (file) => {
      const submit = (options: { readonly sync?: boolean } = {}): void => {
        if (options.sync === true && file.size() === 0) throw new PagewrightError('PW_IO', 'nothing to sync');
      };
      return {
        sync: async () => {
          submit({ sync: true });
          await file.sync();
        },
        submit: async (operations, options) => {
          submit(options);
          await file.submit(operations, options);
        },
      };
    },
  },
  {
    what: 'an empty batch is refused',
    breaks: ['empty-batch'],
    file: (file) => ({
      submitSync: (operations, options) => {
        if (operations.length === 0) throw new PagewrightError('PW_ARGUMENT', 'nothing to submit');
        file.submitSync(operations, options);
      },
    }),
  },
  {
    what: 'a directory without files cannot be synced',
    breaks: ['sync-directory'],
    backend: (io) => ({
      syncDirectory: async (directory) => {
        if ((await io.list(directory)).length === 0) throw new PagewrightError('PW_IO', 'nothing to sync');
        await io.syncDirectory(directory);
      },
    }),
  },
  {
    what: 'closing does not wait for what is in flight',
    breaks: ['close-waits'],
    file: (file) => {
      const late = async (write: () => Promise<void>): Promise<void> => {
        await turn();
        await write();
      };
      return {
        write: (buffer, offset) => {
          if (offset > 0 && offset < 100_000) return file.write(buffer, offset);
          return buffer.length === 100_000 ? late(() => file.write(buffer, offset)) : file.write(buffer, offset);
        },
      };
    },
  },
  {
    what: 'closing twice is refused',
    breaks: ['close-twice'],
    file: (file) => {
      let closed = false;
      return {
        close: async () => {
          if (closed) throw new PagewrightError('PW_CLOSED', 'closed');
          closed = true;
          await file.close();
        },
      };
    },
  },
  {
    what: 'a closed file can still be synced',
    breaks: ['closed'],
    file: (file) => ({ sync: () => file.sync().catch(() => undefined) }),
  },
  {
    what: 'closing one file closes all of the path',
    breaks: ['close-is-one-file', 'lock-excludes', 'lock-release'],
    backend: (io) => {
      const opened = new Map<string, IoFile[]>();
      return {
        open: async (path, flags) => {
          const file = await io.open(path, flags);
          const all = [...(opened.get(path) ?? []), file];
          opened.set(path, all);
          return changed(file, { close: async () => void (await Promise.all(all.map((each) => each.close()))) });
        },
      };
    },
  },
  {
    what: 'a single byte is not written',
    breaks: ['reads-what-was-written', 'cut-bytes-are-gone'],
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
    breaks: ['write-keeps-what-is-around', 'sync-makes-durable'],
    file: (file) =>
      transfers('write', (buffer, offset) => {
        file.writeSync(buffer, offset);
        const end = offset + buffer.length;
        if (end < file.size() && end % 512 > 0 && offset > 0) file.writeSync(new Uint8Array(1), end);
      }),
  },
  {
    what: 'a transfer takes the whole buffer that a view is on',
    breaks: ['views', 'shared-memory'],
    file: (file) =>
      transfers('read', (buffer, offset) => file.readSync(new Uint8Array(buffer.buffer, 0, buffer.length), offset)),
  },
  {
    what: 'what is read into shared memory goes to a copy',
    breaks: ['shared-memory'],
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
    breaks: ['size', 'truncate-cuts'],
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
    breaks: ['batch', 'batch-of-both', 'large-batch', 'size', 'close-waits', 'read-only', 'batch-sync-makes-durable'],
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
    breaks: ['sync-makes-durable', 'sync-makes-size-durable'],
    file: (file) => ({ sync: () => file.submit([]), syncSync: () => file.submitSync([]) }),
  },
  {
    what: 'a directory is not synced',
    breaks: [
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
    what: 'directories are listed among files',
    breaks: ['list', 'rename', 'sync-directory-makes-durable'],
    backend: (io) => ({
      list: async (directory) => {
        const names = await io.list(directory);
        return (await io.exists(`${directory}/inner`)) ? [...names, 'inner'] : names;
      },
    }),
  },
  {
    what: 'a missing directory cannot be listed',
    breaks: ['list-missing'],
    backend: (io) => ({
      list: async (directory) => {
        if (!(await io.exists(directory))) throw new PagewrightError('PW_IO', 'no such directory');
        return io.list(directory);
      },
    }),
  },
  {
    what: 'removing what is missing is refused',
    breaks: ['remove'],
    backend: (io) => ({
      remove: async (path) => {
        if (!(await io.exists(path))) throw new PagewrightError('PW_IO', 'no such file');
        await io.remove(path);
      },
    }),
  },
  {
    what: 'a directory is made once',
    breaks: ['make-directory'],
    backend: (io) => ({
      makeDirectory: async (directory) => {
        if (await io.exists(directory)) throw new PagewrightError('PW_IO', 'it is there');
        await io.makeDirectory(directory);
      },
    }),
  },
  {
    what: 'a directory is removed with what is in it',
    breaks: ['remove-directory'],
    backend: (io) => ({
      removeDirectory: async (directory) => {
        for (const name of await io.list(directory)) await io.remove(`${directory}/${name}`);
        await io.removeDirectory(directory);
      },
    }),
  },
  {
    what: 'a rename replaces nothing',
    breaks: ['rename', 'rename-missing'],
    backend: (io) => ({
      rename: async (from, to) => {
        if (await io.exists(to)) throw new PagewrightError('PW_IO', 'it is there');
        await io.rename(from, to);
      },
    }),
  },
  {
    what: 'renaming what is missing does nothing',
    breaks: ['rename-missing'],
    backend: (io) => ({
      rename: async (from, to) => {
        if (await io.exists(from)) await io.rename(from, to);
      },
    }),
  },
  {
    what: 'everything exists',
    breaks: ['exists'],
    backend: () => ({ exists: async () => true }),
  },
  {
    what: 'whoever asks gets the lock',
    breaks: ['lock-excludes', 'lock-release', 'lock-read-only', 'lock-is-one-file', 'lock-race', 'closed'],
    file: () => ({ lock: async () => ({ release: async () => {} }) }),
  },
  {
    what: 'a lock is refused without the pid of its holder',
    breaks: ['lock-excludes', 'lock-release', 'lock-read-only', 'lock-is-one-file'],
    file: (file) => ({
      lock: () =>
        file.lock().catch((error: PagewrightError) => {
          throw error.code === 'PW_LOCKED' ? new PagewrightError('PW_LOCKED', 'locked') : error;
        }),
    }),
  },
  {
    what: 'a lock is never given back',
    breaks: ['lock-release'],
    file: (file) => ({
      lock: async () => {
        await file.lock();
        return { release: async () => {} };
      },
    }),
  },
  {
    what: 'releasing a lock once more releases that of another',
    breaks: ['lock-release'],
    backend: (io) => {
      const holders = new Map<string, FileLock>();
      return {
        open: async (path, flags) => {
          const file = await io.open(path, flags);
          const lock = async (): Promise<FileLock> => {
            holders.set(path, await file.lock());
            return { release: async () => holders.get(path)?.release() };
          };
          return changed(file, { lock });
        },
      };
    },
  },
  {
    what: 'a file that is open for reading cannot be locked',
    breaks: ['lock-read-only'],
    file: (file, { readOnly }) => {
      if (readOnly !== true) return {};
      const lock = async (): Promise<FileLock> => {
        await (await file.lock()).release();
        throw new PagewrightError('PW_READ_ONLY', 'it is open for reading');
      };
      return { lock };
    },
  },
  {
    what: 'a lock is for the backend, not for a file',
    breaks: ['lock-is-one-file'],
    backend: (io) => ({
      open: async (path, flags) => {
        const [file, only] = [await io.open(path, flags), await io.open('/the only one', { create: true })];
        return changed(file, {
          lock: async () => {
            file.size();
            return only.lock();
          },
        });
      },
    }),
  },
  {
    what: 'pins are shown to nobody',
    breaks: ['pin-shown', 'pin-read-only', 'pin-is-one-file', 'pin-never-missed', 'pin-closed'],
    file: () => ({ pins: async () => [] }),
  },
  {
    what: 'a pin stays when it was released',
    breaks: ['pin-shown'],
    file: (file) => ({
      publishPin: async (text) => ({ ...(await publish(file, text)), release: async () => {} }),
    }),
  },
  {
    what: 'a pin that is moved leaves what it showed before',
    breaks: ['pin-shown', 'pin-never-missed'],
    file: (file) => ({
      publishPin: async (text) => {
        const pins = [await publish(file, text)];
        let released = false;
        return {
          move: async (next) => {
            if (!released) pins.push(await publish(file, next));
          },
          release: async () => {
            released = true;
            for (const pin of pins) await pin.release();
          },
        };
      },
    }),
  },
  {
    what: 'a pin is taken away before it is published anew',
    breaks: ['pin-never-missed'],
    file: (file) => ({
      publishPin: async (text) => {
        let pin = await publish(file, text);
        let released = false;
        return {
          move: async (next) => {
            if (released) return;
            await pin.release();
            await turn();
            pin = await publish(file, next);
          },
          release: async () => {
            released = true;
            await pin.release();
          },
        };
      },
    }),
  },
  {
    what: 'pins are for the backend, not for a file',
    breaks: ['pin-is-one-file'],
    backend: (io) => ({
      open: async (path, flags) => {
        const [file, only] = [await io.open(path, flags), await io.open('/the only one', { create: true })];
        return changed(file, {
          publishPin: async (text) => {
            file.size();
            return publish(only, text);
          },
          pins: async () => {
            file.size();
            return (await only.pins?.()) ?? [];
          },
        });
      },
    }),
  },
  {
    what: 'a file that is open for reading publishes nothing',
    breaks: ['pin-read-only', 'pin-never-missed'],
    file: (file, flags) => ({
      publishPin: async (text) => {
        if (flags.readOnly === true) throw new PagewrightError('PW_READ_ONLY', 'for reading alone');
        return publish(file, text);
      },
    }),
  },
  {
    what: 'pins of the dead are shown',
    breaks: ['pin-of-the-dead'],
    file: (file, _flags, backend) => ({
      publishPin: async (text) => {
        const pin = await publish(file, text);
        unreleased = { text, backend };
        return {
          ...pin,
          release: () => {
            unreleased = null;
            return pin.release();
          },
        };
      },
      pins: async () => {
        const living = (await file.pins?.()) ?? [];
        return unreleased === null || unreleased.backend === backend ? living : [...living, unreleased.text];
      },
    }),
  },
];

async function publish(file: IoFile, text: string): Promise<ReaderPin> {
  if (file.publishPin === undefined) throw new Error('the sound backend has no pins');
  return await file.publishPin(text);
}
