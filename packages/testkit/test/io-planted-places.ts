/** Faults in directories, locks and pins. */
import { type FileLock, type IoBackend, type IoFile, PagewrightError, type ReaderPin } from '@pagewright/core';

import { changed, type PlantedFault, turn } from './io-fault.js';

/** What was published last, if it was not released, and where. */
let unreleased: { readonly text: string; readonly backend: IoBackend } | null = null;

export const PLACE_FAULTS: readonly PlantedFault[] = [
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
