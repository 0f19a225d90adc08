import type { IoFile } from '@pagewright/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { dropAll, keepAll, SECTOR, SimulatedDevice } from '../src/index.js';
import { filled, opened } from './device-files.js';

let disk: SimulatedDevice;
let file: IoFile;

beforeEach(async () => {
  disk = new SimulatedDevice({ seed: 7 });
  file = await opened(disk, '/store/a', filled(4 * SECTOR, 1));
});

const failing = (errno: string) => expect.objectContaining({ details: expect.objectContaining({ errno }) });

describe('a planned fault', () => {
  it('at an operation by number happens there and nowhere else', () => {
    disk.inject({ fault: { kind: 'error', errno: 'EIO' }, at: disk.operations + 2 });
    file.writeSync(filled(1, 2), 0);
    expect(() => file.writeSync(filled(1, 3), 1)).toThrow(failing('EIO'));
    file.writeSync(filled(1, 4), 2);
    expect([...disk.contentOf('/store/a').subarray(0, 3)]).toEqual([2, 1, 4]);
    expect(disk.faults).toEqual([
      { kind: 'error', operation: disk.operations - 1, path: '/store/a', offset: 1, errno: 'EIO' },
    ]);
  });

  it('by kind and predicate happens so many times as it says, or from then on until it is taken back', async () => {
    const other = await opened(disk, '/store/b', filled(SECTOR, 1));
    const takeBack = disk.inject({
      fault: { kind: 'error', errno: 'EIO' },
      kinds: ['read'],
      when: ({ path, offset }) => path === '/store/b' && (offset as number) >= 100,
      times: Number.POSITIVE_INFINITY,
    });
    for (let round = 0; round < 3; round++) {
      other.readSync(filled(10, 0), 0);
      file.readSync(filled(10, 0), 100);
      other.writeSync(filled(10, 0), 100);
      await expect(other.read(filled(10, 0), 100)).rejects.toEqual(failing('EIO'));
    }
    takeBack();
    await other.read(filled(10, 0), 100);
    disk.inject({ fault: { kind: 'error', errno: 'EIO' }, times: 2 });
    for (const fails of [true, true, false]) {
      const read = (): void => file.readSync(filled(1, 0), 0);
      if (fails) expect(read).toThrow(failing('EIO'));
      else read();
    }
    expect(disk.faults).toHaveLength(5);
  });

  it('from a number on spares what was before', () => {
    disk.inject({ fault: { kind: 'error', errno: 'EIO' }, from: disk.operations + 3, times: Number.POSITIVE_INFINITY });
    const outcomes = [1, 2, 3, 4].map(() => {
      try {
        file.readSync(filled(1, 0), 0);
        return 'read';
      } catch {
        return 'failed';
      }
    });
    expect(outcomes).toEqual(['read', 'read', 'failed', 'failed']);
  });

  it('by probability happens at the same operations for the same seed', async () => {
    const failedAt = async (seed: number): Promise<number[]> => {
      const seeded = new SimulatedDevice({
        seed,
        faults: [{ fault: { kind: 'error', errno: 'EIO' }, chance: 0.3, times: Number.POSITIVE_INFINITY }],
      });
      const written = await seeded.open('/store/a', { create: true });
      await Promise.allSettled(Array.from({ length: 50 }, () => written.write(filled(1, 1), 0)));
      return seeded.faults.map(({ operation }) => operation);
    };
    const first = await failedAt(1);
    expect(await failedAt(1)).toEqual(first);
    expect(await failedAt(2)).not.toEqual(first);
    expect(first.length).toBeGreaterThan(5);
    expect(first.length).toBeLessThan(25);
  });
});

describe('an error', () => {
  it('ENOSPC befalls writes and allocations, and nothing of them happens', async () => {
    disk.inject({ fault: { kind: 'error', errno: 'ENOSPC' }, times: 2 });
    file.readSync(filled(1, 0), 0);
    file.syncSync();
    const code = 'PW_FULL';
    await expect(file.write(filled(SECTOR, 2), 0)).rejects.toMatchObject({ code, details: { errno: 'ENOSPC' } });
    await expect(file.allocate(0, 9 * SECTOR)).rejects.toMatchObject({ code });
    expect(disk.contentOf('/store/a')).toEqual(filled(4 * SECTOR, 1));
    file.allocateSync(0, 9 * SECTOR);
    expect(file.size()).toBe(9 * SECTOR);
  });

  it('may befall any kind of operation that it is planned for', async () => {
    for (const kind of ['open', 'make-directory', 'remove', 'rename', 'sync-directory', 'truncate'] as const) {
      disk.inject({ fault: { kind: 'error', errno: 'EIO' }, kinds: [kind] });
    }
    await expect(disk.open('/store/b', { create: true })).rejects.toEqual(failing('EIO'));
    await expect(disk.makeDirectory('/store/d')).rejects.toEqual(failing('EIO'));
    await expect(disk.remove('/store/a')).rejects.toEqual(failing('EIO'));
    await expect(disk.rename('/store/a', '/store/b')).rejects.toEqual(failing('EIO'));
    await expect(disk.syncDirectory('/store')).rejects.toEqual(failing('EIO'));
    await expect(file.truncate(0)).rejects.toEqual(failing('EIO'));
    expect(disk.files()).toEqual(['/store/a']);
    expect(file.size()).toBe(4 * SECTOR);
  });

  it('of a torn write leaves some of its sectors', () => {
    const found = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const device = disk.copy();
      file.writeSync(filled(4 * SECTOR, 1), 0);
      disk.inject({ fault: { kind: 'error', errno: 'EIO', torn: true } });
      expect(() => file.writeSync(filled(4 * SECTOR, 2), 0)).toThrow(failing('EIO'));
      found.add([0, 1, 2, 3].map((sector) => disk.contentOf('/store/a')[sector * SECTOR]).join(''));
      expect(device.sizeOf('/store/a')).toBe(4 * SECTOR);
    }
    expect(found.size).toBeGreaterThan(5);
  });
});

describe('a failed sync', () => {
  it('that drops what was dirty is told once to each open file, and reads go on showing what a crash loses', async () => {
    const other = await disk.open('/store/a', {});
    file.writeSync(filled(SECTOR, 2), 0);
    disk.inject({ fault: { kind: 'failed-sync', dirty: 'dropped' } });
    expect(() => file.syncSync()).toThrow(failing('EIO'));
    await expect(other.sync()).rejects.toEqual(failing('EIO'));
    file.syncSync();
    await other.sync();
    file.readSync(filled(1, 0), 0);
    expect(disk.contentOf('/store/a')[0]).toBe(2);
    expect(disk.afterCrash(keepAll).contentOf('/store/a')[0]).toBe(1);
    expect(disk.faults.map(({ kind }) => kind)).toEqual(['failed-sync']);
  });

  it('that keeps what was dirty leaves it to the next sync', () => {
    file.writeSync(filled(SECTOR, 2), 0);
    disk.inject({ fault: { kind: 'failed-sync', dirty: 'kept' } });
    expect(() => file.syncSync()).toThrow(failing('EIO'));
    expect(disk.copy().afterCrash(dropAll).contentOf('/store/a')[0]).toBe(1);
    file.syncSync();
    expect(disk.afterCrash(dropAll).contentOf('/store/a')[0]).toBe(2);
  });
});

describe('a transfer that goes wrong in silence', () => {
  it('may be a write that is acknowledged and never happens', async () => {
    disk.inject({ fault: { kind: 'lost-write' } });
    await file.write(filled(SECTOR, 2), 0);
    await file.write(filled(SECTOR, 3), SECTOR);
    await file.sync();
    expect([0, SECTOR].map((at) => disk.contentOf('/store/a')[at])).toEqual([1, 3]);
    expect([0, SECTOR].map((at) => disk.afterCrash(keepAll).contentOf('/store/a')[at])).toEqual([1, 3]);
    expect(disk.faults).toMatchObject([{ kind: 'lost-write', path: '/store/a', offset: 0 }]);
  });

  it('may be a write to another place, in the same file or in another, at the same place in its sector', async () => {
    await opened(disk, '/store/b', filled(3 * SECTOR, 5));
    const found = new Set<string>();
    for (let round = 0; round < 40; round++) {
      disk.inject({ fault: { kind: 'misdirected-write' } });
      const before = new Map(disk.files().map((path) => [path, disk.contentOf(path)]));
      file.writeSync(filled(100, 100 + round), SECTOR + 7);
      const instead = disk.faults.at(-1)?.instead;
      if (instead === undefined) throw new Error('no place was recorded');
      found.add(`${instead.path} ${instead.offset}`);
      before.get(instead.path)?.fill(100 + round, instead.offset, instead.offset + 100);
      for (const [path, bytes] of before) expect(disk.contentOf(path)).toEqual(bytes);
    }
    expect([...found].sort()).toEqual(
      ['/store/a 7', '/store/a 1031', '/store/a 1543', '/store/b 7', '/store/b 519', '/store/b 1031'].sort(),
    );
  });

  it('may be a read from another place, of the plan’s choice or the seed’s', async () => {
    file.writeSync(filled(SECTOR, 9), 3 * SECTOR);
    disk.inject({ fault: { kind: 'misdirected-read', from: { path: '/store/a', offset: 3 * SECTOR } } });
    const buffer = filled(SECTOR, 0);
    await file.read(buffer, 0);
    expect(buffer).toEqual(filled(SECTOR, 9));
    file.readSync(buffer, 0);
    expect(buffer).toEqual(filled(SECTOR, 1));
    disk.inject({ fault: { kind: 'misdirected-read' } });
    file.readSync(buffer, 0);
    expect(disk.faults.at(-1)?.instead?.offset).toBeGreaterThan(0);
  });

  it('does not count as injected where there is no other place', async () => {
    disk.inject({ fault: { kind: 'misdirected-write' } });
    file.writeSync(filled(4 * SECTOR, 2), 0);
    expect(disk.contentOf('/store/a')).toEqual(filled(4 * SECTOR, 2));
    expect(disk.faults).toEqual([]);
  });

  it('may be bit rot of what is read, and it stays', async () => {
    disk.inject({ fault: { kind: 'bit-rot' } });
    const buffer = filled(100, 0);
    await file.read(buffer, 700);
    const { offset } = disk.faults[0] as { offset: number };
    const differing = [...buffer.keys()].filter((at) => buffer[at] !== 1);
    expect(differing).toEqual([offset - 700]);
    expect(Math.log2((buffer[offset - 700] as number) ^ 1) % 1).toBe(0);
    expect(disk.afterCrash(dropAll).contentOf('/store/a')[offset]).toBe(buffer[offset - 700]);
    const chosen = new SimulatedDevice({
      faults: [{ fault: { kind: 'bit-rot', at: { path: '/store/a', offset: 3 }, bit: 4 }, kinds: ['open'] }],
    });
    chosen.put('/store/a', filled(10, 0));
    await chosen.open('/store/a', {});
    expect([...chosen.contentOf('/store/a')]).toEqual([0, 0, 0, 16, 0, 0, 0, 0, 0, 0]);
  });
});

it('a full disk refuses what would grow a file, and only that', async () => {
  disk.capacity = disk.used;
  expect(() => file.writeSync(filled(SECTOR, 2), 4 * SECTOR - 1)).toThrow(failing('ENOSPC'));
  expect(() => file.allocateSync(4 * SECTOR, 1)).toThrow(failing('ENOSPC'));
  file.writeSync(filled(SECTOR, 2), 3 * SECTOR);
  await disk.open('/store/b', { create: true });
  expect(disk.contentOf('/store/a').subarray(3 * SECTOR)).toEqual(filled(SECTOR, 2));
});
