import { COMMIT_POLICIES, type CommitPolicyType, LOG } from '@pagewright/core';
import { container } from 'tsyringe';
import { describe, expect, test } from 'vitest';
import fromPackage, { wal } from '../src/index.js';
import type { WalOptions } from '../src/options.js';
import { WriteAheadLog } from '../src/write-ahead-log.js';

function check(options: unknown): { issues?: readonly { message: string; path?: unknown }[] } {
  return wal.definition.options!['~standard'].validate(options) as ReturnType<typeof check>;
}

describe('the plugin', () => {
  test('is what the package exports by name and by default', () => {
    expect(fromPackage).toBe(wal);
    expect(wal.definition).toMatchObject({ name: '@pagewright/wal', kind: 'log', provides: [LOG, COMMIT_POLICIES] });
  });

  test('makes one log for each engine, which finds the policies of other plugins', () => {
    const engine = container.createChildContainer();
    const mine: CommitPolicyType = {
      name: 'mine',
      attach: () => ({ commit: () => Promise.resolve(), commitSync: () => undefined }),
    };
    wal.definition.setup(engine, { commit: 'mine' } satisfies WalOptions);
    engine.register(COMMIT_POLICIES, { useValue: mine });
    const log = engine.resolve(LOG);
    expect(log).toBeInstanceOf(WriteAheadLog);
    expect(log.stats().policy).toBe('mine');
    expect(engine.resolve(LOG)).toBe(log);
  });

  test('accepts the options that its README lists', () => {
    expect(check({}).issues).toBeUndefined();
    const all = { commit: 'sync', segmentSize: '1MiB', maxRecordSize: 1 << 20, bufferLimit: '64KiB' };
    expect(check(all).issues).toBeUndefined();
  });

  test.each([
    [{ commit: '' }, 'commit'],
    [{ segmentSize: 1000 }, 'segmentSize'],
    [{ segmentSize: '2 GiB' }, 'segmentSize'],
    [{ maxRecordSize: 'much' }, 'maxRecordSize'],
    [{ bufferLimit: -1 }, 'bufferLimit'],
    [{ archiveTimeoutMs: -1 }, 'archiveTimeoutMs'],
    [{ archiveTimeoutMs: 86_400_001 }, 'archiveTimeoutMs'],
    [{ archiveTimeoutMs: '1s' }, 'archiveTimeoutMs'],
    [{ archiveTimeoutMs: 5000 }, 'archiveTimeoutMs'],
    [{ archive: '' }, 'archive'],
    [{ comit: 'sync' }, 'comit'],
    [{ groupWindowMs: -1 }, 'groupWindowMs'],
    [{ groupWindowMs: 1000.5 }, 'groupWindowMs'],
    [{ groupWindowMs: Number.NaN }, 'groupWindowMs'],
    [{ groupWindowMs: '1' }, 'groupWindowMs'],
    [{ groupBytes: -1 }, 'groupBytes'],
    [{ groupBytes: '2 GiB' }, 'groupBytes'],
    [{ batchBytes: -1 }, 'batchBytes'],
    [{ batchBytes: 'few' }, 'batchBytes'],
    [{ depth: 0 }, 'depth'],
    [{ depth: 17 }, 'depth'],
    [{ depth: 1.5 }, 'depth'],
    [{ readerLimit: 1000 }, 'readerLimit'],
    [{ readerLimit: '2TiB' }, 'readerLimit'],
    [{ durability: 'durabel' }, 'durability'],
    [{ archive: 5 }, 'archive'],
    [{ commit: 5 }, 'commit'],
  ])('refuses %j', (options, key) => {
    const [issue] = check(options).issues ?? [];
    expect(issue?.path).toEqual([expect.objectContaining({ key })]);
    expect(() => new WriteAheadLog(options as WalOptions)).toThrow(
      expect.objectContaining({ code: 'PW_OPTION_INVALID', details: expect.objectContaining({ option: key }) }),
    );
  });

  test('says of an archive that is none no more than that', () => {
    for (const archive of ['', 5]) {
      expect(check({ archive, archiveTimeoutMs: 5000 }).issues?.map(({ message }) => message)).toEqual([
        'must be the path of a directory, or a function',
      ]);
    }
  });

  test.each([[null], [5], ['sync'], [{ archive: null }], [{ depth: null }]])('a log alone refuses %j', (options) => {
    expect(() => new WriteAheadLog(options as never)).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
  });

  test('the constructor refuses what the plugin refuses', () => {
    expect(() => new WriteAheadLog({ segmentSize: '1KiB' })).toThrow(
      expect.objectContaining({ code: 'PW_OPTION_INVALID', details: { option: 'segmentSize', value: '1KiB' } }),
    );
    expect(() => new WriteAheadLog({ archiveTimeoutMs: 0 })).toThrow(/there is no archive/);
    for (const value of [-1, 86_400_001, Number.NaN, '1000'] as number[]) {
      expect(() => new WriteAheadLog({ archiveTimeoutMs: value })).toThrow(
        expect.objectContaining({ code: 'PW_OPTION_INVALID', details: { option: 'archiveTimeoutMs', value } }),
      );
    }
  });
});
