/** The default parts of an engine on a given I/O backend, small enough that everything which can happen does. */
import { bufferPool } from '@pagewright/bufferpool';
import { compose, definePlugin, type Engine, IO, type IoBackend } from '@pagewright/core';
import { btree } from '@pagewright/index-btree';
import { mvcc } from '@pagewright/mvcc';
import type { Random } from '@pagewright/testkit';
import { wal } from '@pagewright/wal';

export interface EngineChoice {
  readonly pageSize: number;
  /** Bytes. */
  readonly memory: number;
  readonly commit: 'sync' | 'group' | 'pipelined' | 'autonomous';
  readonly segmentSize: number;
}

/** One of the many engines that the parts can be put together to. */
export function chooseEngine(random: Random): EngineChoice {
  const pageSize = random.pick([4096, 4096, 8192, 16_384, 32_768]);
  return {
    pageSize,
    memory: pageSize * random.pick([64, 64, 80, 256]),
    commit: random.pick(['sync', 'group', 'pipelined', 'autonomous'] as const),
    segmentSize: random.pick([64, 64, 128, 1024]) * 1024,
  };
}

export function engineOn(io: IoBackend, path: string, choice: EngineChoice): Promise<Engine> {
  const given = definePlugin({
    name: 'the-device-of-the-soak',
    kind: 'io',
    contract: 1,
    provides: [IO],
    setup: (container) => void container.register(IO, { useValue: io }),
  });
  return compose({
    io: given(),
    pages: bufferPool({ memory: choice.memory, pageSize: choice.pageSize }),
    indexes: btree(),
    concurrency: mvcc(),
    log: wal({ commit: choice.commit, segmentSize: choice.segmentSize }),
  }).open(path);
}
