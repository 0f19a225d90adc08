/** An engine of radix trees alone, on a given I/O backend. */
import { bufferPool } from '@pagewright/bufferpool';
import { compose, definePlugin, type Engine, IO, type IoBackend } from '@pagewright/core';
import { art } from '@pagewright/index-art';
import { mvcc } from '@pagewright/mvcc';
import { wal } from '@pagewright/wal';

export function openArtOn(io: IoBackend, path: string): Promise<Engine> {
  const given = definePlugin({
    name: 'the-disk-of-the-test',
    kind: 'io',
    contract: 1,
    provides: [IO],
    setup: (container) => {
      container.register(IO, { useValue: io });
    },
  });
  return compose({
    io: given(),
    pages: bufferPool({ memory: 64 * 4096, pageSize: 4096 }),
    indexes: art(),
    concurrency: mvcc(),
    log: wal({ commit: 'pipelined', segmentSize: '64KiB' }),
  }).open(path) as Promise<Engine>;
}
