/** Faults in how files are opened and closed. */
import { type IoFile, PagewrightError } from '@pagewright/core';

import { changed, type PlantedFault, turn } from './io-fault.js';

export const OPENING_FAULTS: readonly PlantedFault[] = [
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
    what: 'preparing memory is touching it',
    breaks: ['prepare-memory'],
    backend: () => ({
      prepareMemory: (memory) => {
        for (let at = 0; at < memory.length; at += 4096) memory[at] = 0;
      },
    }),
  },
  {
    what: 'preparing memory fails for what is not a whole page',
    breaks: ['prepare-memory'],
    backend: () => ({
      prepareMemory: ({ byteOffset }) => {
        if (byteOffset % 4096 !== 0) throw new PagewrightError('PW_IO', 'Cannot prepare memory that is not aligned.');
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
    breaks: ['write-back-refused', 'read-only'],
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
];
