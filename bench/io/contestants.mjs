/** What moves bytes here, by name: backends of Pagewright, `node:fs` by itself, and fio by the engine that goes the same way. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { NotThere } from '../comparison/not-there.mjs';

const DIRECT = constants.O_DIRECT ?? 0;

/**
 * Each has `open(path)`, which returns `read(view, offset)`, `writeDurably(view, offset)`, `close()`, and in `isCached` whether it goes through the page cache. Those of fio are in `fio`,
 * as the options that make it do the same.
 */
export const CONTESTANTS = {
  'node:fs': {
    async open(path) {
      const reading = await open(path, constants.O_RDONLY | DIRECT);
      const writing = await open(path, constants.O_RDWR);
      return {
        isCached: DIRECT === 0,
        read: (view, offset) => reading.read(view, 0, view.length, offset),
        async writeDurably(view, offset) {
          await writing.write(view, 0, view.length, offset);
          await writing.datasync();
        },
        close: () => Promise.all([reading.close(), writing.close()]),
      };
    },
  },
  'io-posix, node:fs': {
    async open(path) {
      const { NodeFiles } = await import('@pagewright/io-posix');
      return fileOf(await new NodeFiles({ depth: 1024 }).open(path, {}), true);
    },
  },
  'io-posix': {
    async open(path) {
      const { PosixFiles } = await import('@pagewright/io-posix');
      const files = new PosixFiles({ native: true, direct: 'auto', threads: 128 });
      const { supported, reason } = files.probe();
      if (!supported) throw new NotThere(reason);
      const file = await files.open(path, {});
      return fileOf(file, file.direct === null);
    },
  },
  'io-uring': {
    async open(path) {
      const found = await import('@pagewright/io-uring').catch(() => {
        throw new NotThere('the package @pagewright/io-uring is not there');
      });
      const files = new found.UringFiles({ direct: true });
      const { supported, reason } = files.probe();
      if (!supported) throw new NotThere(reason);
      return fileOf(await files.open(path, {}), false);
    },
  },
  'fio io_uring': { fio: { read: (depth) => ['--ioengine=io_uring', `--iodepth=${depth}`] } },
  'fio libaio': { fio: { read: (depth) => ['--ioengine=libaio', `--iodepth=${depth}`] } },
  'fio psync': {
    fio: {
      read: (depth) => ['--ioengine=psync', `--numjobs=${depth}`, '--thread', '--group_reporting'],
      flush: ['--ioengine=psync', '--fdatasync=1'],
    },
  },
  'fio pvsync2 dsync': { fio: { flush: ['--ioengine=pvsync2', '--sync=dsync', '--direct=1'] } },
};

function fileOf(file, isCached) {
  return {
    isCached,
    read: (view, offset) => file.read(view, offset),
    writeDurably: (buffer, offset) => file.submit([{ kind: 'write', buffer, offset }], { sync: true }),
    close: () => file.close(),
  };
}
