/** The two engines of the quickstart, as data: they differ in page size and commit policy, and in nothing else. */
import { composeFrom, type Engine } from '@pagewright/core';

export type EngineName = 'small' | 'large';

/** What could stand in a config file. */
export const ENGINES = {
  small: {
    io: ['@pagewright/io-posix'],
    pages: ['@pagewright/bufferpool', { memory: '32MiB', pageSize: '4KiB' }],
    indexes: ['@pagewright/index-btree'],
    concurrency: '@pagewright/mvcc',
    log: ['@pagewright/wal', { commit: 'sync' }],
  },
  large: {
    io: ['@pagewright/io-posix'],
    pages: ['@pagewright/bufferpool', { memory: '32MiB', pageSize: '32KiB' }],
    indexes: ['@pagewright/index-btree'],
    concurrency: '@pagewright/mvcc',
    log: ['@pagewright/wal', { commit: 'pipelined' }],
  },
} as const;

export function describeEngine(name: EngineName): string {
  const { pages, log } = ENGINES[name];
  return `${pages[1].pageSize} pages, ${log[1].commit} commits`;
}

export async function openEngine(name: EngineName, path: string): Promise<Engine> {
  const blueprint = await composeFrom(ENGINES[name], { from: import.meta.url });
  return blueprint.open(path);
}
