/** Backends by name, each as the `io` of an engine. */
import { ioPosix } from '@pagewright/io-posix';
import { NotThere } from './not-there.mjs';

/** Set in the environment of a cell: the backend by which Pagewright is opened there, where its module names none. */
export const BACKEND = 'PAGEWRIGHT_BENCH_IO';

export const BACKENDS = {
  'node:fs': () => ioPosix({ native: false }),
  'io-posix': () => ioPosix({ native: true }),
  'io-posix direct': () => ioPosix({ native: true, direct: true }),
  'io-posix direct writes': () => ioPosix({ native: true, direct: 'writes' }),
  'io-posix random': () => ioPosix({ native: true, readahead: false }),
  'io-uring': () => uring({}),
  'io-uring direct': () => uring({ direct: true }),
  'io-uring direct writes': () => uring({ direct: 'writes' }),
};

/** The plugin; throws `NotThere` where it does not work. */
export async function backendNamed(name) {
  const plugin = await BACKENDS[name]?.();
  if (plugin === undefined)
    throw new Error(`There is no backend "${name}". There are: ${Object.keys(BACKENDS).join(', ')}.`);
  return plugin;
}

async function uring(options) {
  const { ioUring, UringFiles } = await import('@pagewright/io-uring').catch(() => {
    throw new NotThere('the package @pagewright/io-uring is not there');
  });
  const { supported, reason } = new UringFiles(options).probe();
  if (!supported) throw new NotThere(reason);
  return ioUring(options);
}
