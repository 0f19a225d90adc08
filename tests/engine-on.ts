/** The default parts of an engine on a given I/O backend, as the tests of the whole compose it. */
import { bufferPool } from '@pagewright/bufferpool';
import {
  type Blueprint,
  compose,
  definePlugin,
  type Engine,
  IO,
  type IoBackend,
  type OpenOptions,
} from '@pagewright/core';
import { btree } from '@pagewright/index-btree';
import { mvcc } from '@pagewright/mvcc';
import { singleWriter } from '@pagewright/single-writer';
import { type WalOptions, wal } from '@pagewright/wal';

export interface EngineChoice {
  readonly pageSize?: number;
  readonly memory?: number;
  readonly translation?: string;
  readonly concurrency?: 'mvcc' | 'single-writer';
  readonly commit?: 'sync' | 'group' | 'pipelined' | 'autonomous';
  /** Of transactions. */
  readonly versionMemory?: string;
  /** Of the log. Default: 64 KiB. */
  readonly segmentSize?: string;
  readonly archive?: WalOptions['archive'];
  readonly archiveTimeoutMs?: number;
  readonly opening?: OpenOptions;
}

export async function engineOn(io: IoBackend, path: string, choice: EngineChoice = {}): Promise<Engine<'btree'>> {
  return blueprintOn(io, choice).open(path, choice.opening);
}

export function blueprintOn(io: IoBackend, choice: EngineChoice = {}): Blueprint<'btree'> {
  const given = definePlugin({
    name: 'the-disk-of-the-test',
    kind: 'io',
    contract: 1,
    provides: [IO],
    setup: (container) => {
      container.register(IO, { useValue: io });
    },
  });
  const {
    pageSize,
    memory,
    translation = 'swizzled',
    commit,
    segmentSize,
    archive,
    archiveTimeoutMs,
    concurrency,
    versionMemory,
  } = choice;
  return compose({
    io: given(),
    pages: bufferPool({ memory: memory ?? '1MiB', translation, ...(pageSize === undefined ? {} : { pageSize }) }),
    indexes: btree(),
    concurrency:
      concurrency === 'single-writer' ? singleWriter() : mvcc(versionMemory === undefined ? {} : { versionMemory }),
    log: wal({
      commit: commit ?? 'pipelined',
      segmentSize: segmentSize ?? '64KiB',
      ...(archive === undefined ? {} : { archive }),
      ...(archiveTimeoutMs === undefined ? {} : { archiveTimeoutMs }),
    }),
  });
}
