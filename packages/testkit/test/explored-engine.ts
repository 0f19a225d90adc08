/** The engine that the explorers are tested with, and what may be changed of it. */
import { bufferPool } from '@pagewright/bufferpool';
import { compose, definePlugin, type Engine, IO, type IoBackend } from '@pagewright/core';
import { btree } from '@pagewright/index-btree';
import { mvcc } from '@pagewright/mvcc';
import { wal } from '@pagewright/wal';
import type { OpenOn } from '../src/index.js';

function given(io: IoBackend) {
  return definePlugin({
    name: 'given-io',
    kind: 'io',
    contract: 1,
    provides: [IO],
    setup: (container) => void container.register(IO, { useValue: io }),
  })();
}

export function engineWith({
  io = (sound) => sound,
  log = wal({ segmentSize: '64KiB' }),
  plugins = [],
}: {
  io?: (sound: IoBackend) => IoBackend;
  log?: ReturnType<typeof wal>;
  plugins?: Parameters<typeof compose>[0]['plugins'];
} = {}): OpenOn {
  return (device, path): Promise<Engine> =>
    compose({
      io: given(io(device)),
      pages: bufferPool({ memory: 64 * 4096, pageSize: 4096 }),
      indexes: btree(),
      concurrency: mvcc(),
      log,
      plugins,
    }).open(path);
}
