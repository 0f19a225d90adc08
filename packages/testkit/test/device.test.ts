import { describe, expect, it } from 'vitest';
import {
  dropAll,
  everySurvival,
  keepAll,
  keepSome,
  SECTOR,
  SimulatedDevice,
  sampledSurvivals,
  survivalOf,
} from '../src/index.js';
import { filled, opened } from './device-files.js';

describe('a crash of the simulated device', () => {
  it('keeps what was synced, and of the rest what the survival says', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(4 * SECTOR, 1));
    file.writeSync(filled(2 * SECTOR, 2), SECTOR);
    const lost = disk.afterCrash(dropAll).contentOf('/store/a');
    expect(lost).toEqual(filled(4 * SECTOR, 1));
    const kept = disk.afterCrash(keepAll).contentOf('/store/a');
    expect(markOf(kept)).toBe('1221');
  });

  it('keeps what a batch wrote and synced, and perhaps nothing that was written before', async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const disk = new SimulatedDevice({ seed });
      const file = await opened(disk, '/store/a', filled(3 * SECTOR, 1));
      file.writeSync(filled(SECTOR, 2), 0);
      file.submitSync([{ kind: 'write', offset: 2 * SECTOR, buffer: filled(SECTOR, 3) }], { sync: true });
      outcomes.add(markOf(disk.afterCrash(dropAll).contentOf('/store/a')));
    }
    expect(outcomes).toEqual(new Set(['113', '213']));
  });

  it('tears a write at any sector, in any combination, and never within one', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(3 * SECTOR, 1));
    file.writeSync(filled(3 * SECTOR - 200, 2), 100);
    const found = new Set<string>();
    for (const survival of everySurvival(disk) ?? []) {
      const bytes = disk.afterCrash(survival).contentOf('/store/a');
      found.add([300, 700, 1300].map((at) => bytes[at]).join(''));
      expect([bytes[0], bytes.at(-1)]).toEqual([1, 1]);
    }
    expect([...found].sort()).toEqual(['111', '112', '121', '122', '211', '212', '221', '222']);
  });

  it('may keep any version that a sector has had since the last sync, and reorders sectors freely', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(2 * SECTOR, 1));
    for (const version of [2, 3]) file.writeSync(filled(SECTOR, version), 0);
    file.writeSync(filled(SECTOR, 4), SECTOR);
    expect(outcomesOf(disk)).toEqual(['11', '14', '21', '24', '31', '34']);
  });

  it('may lose a new size apart from the bytes, and shows zeros where only the size was kept', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(SECTOR, 1));
    file.writeSync(filled(SECTOR, 2), SECTOR);
    expect(outcomesOf(disk)).toEqual(['1', '10', '12']);
    const allocated = new SimulatedDevice();
    (await opened(allocated, '/store/a', filled(SECTOR, 1))).allocateSync(0, 2 * SECTOR);
    expect(outcomesOf(allocated)).toEqual(['1', '10']);
  });

  it('never brings back what was cut off once the file has grown again', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(3 * SECTOR, 1));
    file.writeSync(filled(SECTOR, 2), 2 * SECTOR);
    file.truncateSync(SECTOR + 100);
    file.allocateSync(0, 3 * SECTOR);
    const regrown = disk.copy();
    // With the size of before, of the cut, and of after it.
    expect(outcomesOf(disk)).toEqual(['11', '110', '111', '112']);
    expect(
      disk
        .afterCrash(keepAll)
        .contentOf('/store/a')
        .subarray(SECTOR + 100),
    ).toEqual(filled(2 * SECTOR - 100, 0));
    const again = await regrown.open('/store/a', {});
    again.syncSync();
    again.writeSync(filled(1, 5), 0);
    expect(
      regrown
        .afterCrash(dropAll)
        .contentOf('/store/a')
        .subarray(SECTOR + 100),
    ).toEqual(filled(2 * SECTOR - 100, 0));
  });

  it('loses names that were not made durable, each by itself, and keeps those that were', async () => {
    const disk = new SimulatedDevice();
    await opened(disk, '/store/kept', filled(1, 1));
    await disk.open('/store/new', { create: true });
    await disk.rename('/store/kept', '/store/moved');
    const found = new Set<string>();
    for (const survival of everySurvival(disk) ?? []) found.add(disk.afterCrash(survival).files().join());
    expect([...found].sort()).toEqual([
      '/store/kept',
      '/store/kept,/store/new',
      '/store/moved',
      '/store/moved,/store/new',
    ]);
  });

  it('may undo a removal, and the making of a directory with all that is in it', async () => {
    const disk = new SimulatedDevice();
    await opened(disk, '/store/a', filled(SECTOR, 7));
    await disk.remove('/store/a');
    await disk.makeDirectory('/store/logs');
    await opened(disk, '/store/logs/1', filled(1, 1));
    await disk.syncDirectory('/store/logs');
    expect(disk.afterCrash(dropAll).files()).toEqual(['/store/a']);
    expect(disk.afterCrash(dropAll).contentOf('/store/a')).toEqual(filled(SECTOR, 7));
    expect(disk.afterCrash(keepAll).files()).toEqual(['/store/logs/1']);
  });

  it('finds a rename to another directory durable only when both were synced', async () => {
    const disk = new SimulatedDevice();
    await disk.makeDirectory('/store/old');
    await disk.syncDirectory('/store');
    await opened(disk, '/store/a', filled(1, 1));
    await disk.rename('/store/a', '/store/old/a');
    await disk.syncDirectory('/store/old');
    expect(disk.copy().afterCrash(dropAll).files()).toEqual(['/store/a']);
    await disk.syncDirectory('/store');
    expect(disk.afterCrash(dropAll).files()).toEqual(['/store/old/a']);
  });

  it('may find any sectors of a write that was in flight, and cannot be told of one that was over', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(3 * SECTOR, 1));
    disk.hold = () => new Promise(() => undefined);
    void file.write(filled(3 * SECTOR, 2), 0);
    const growing = file.allocate(0, 4 * SECTOR);
    growing.catch(() => undefined);
    expect(markOf(disk.contentOf('/store/a'))).toBe('111');
    expect(outcomesOf(disk)).toHaveLength(16);
  });

  it('takes the bytes of a write in flight as they are when the power goes', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(SECTOR, 1));
    disk.hold = () => new Promise(() => undefined);
    const buffer = filled(SECTOR, 2);
    void file.write(buffer, 0);
    disk.cutPower();
    buffer.fill(9);
    expect(markOf(disk.afterCrash(keepAll).contentOf('/store/a'))).toBe('2');
  });

  it('at an operation lets it be on its way, and no later one', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(2 * SECTOR, 1));
    disk.crashAt = disk.operations + 1;
    expect(() => file.writeSync(filled(SECTOR, 2), 0)).toThrow(expect.objectContaining({ code: 'PW_IO' }));
    expect(() => file.writeSync(filled(SECTOR, 3), SECTOR)).toThrow(expect.objectContaining({ code: 'PW_IO' }));
    expect(outcomesOf(disk)).toEqual(['11', '21']);
  });

  it('of a killed process leaves the page cache, and of what was in flight what it is told', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(2 * SECTOR, 1));
    file.writeSync(filled(SECTOR, 2), 0);
    disk.hold = () => new Promise(() => undefined);
    void file.write(filled(SECTOR, 3), SECTOR);
    const before = disk.copy();
    expect(markOf(disk.afterKill(keepAll).contentOf('/store/a'))).toBe('23');
    expect(markOf(before.afterKill().contentOf('/store/a'))).toBe('21');
    expect(markOf(before.afterCrash(dropAll).contentOf('/store/a'))).toBe('11');
  });

  it('frees locks', async () => {
    const disk = new SimulatedDevice();
    const file = await opened(disk, '/store/a', filled(1, 1));
    await file.lock();
    const again = await disk.afterCrash(dropAll).open('/store/a', {});
    await expect((await again.lock()).release()).resolves.toBeUndefined();
  });
});

describe('a survival', () => {
  it('is enumerated up to a limit, each outcome once, and reproduced from its label', async () => {
    const disk = await unsyncedDisk();
    const survivals = [...(everySurvival(disk, 10) ?? [])];
    const labels = survivals.map(({ label }) => label as string);
    const outcomes = survivals.map((survival) => markOf(disk.afterCrash(survival).contentOf('/store/a')));
    expect(labels).toEqual(Array.from({ length: 12 }, (_, at) => `all:${at + 1}/12`));
    expect(new Set(outcomes).size).toBe(12);
    for (const [at, label] of labels.entries()) {
      expect(markOf(disk.afterCrash(survivalOf(label, disk)).contentOf('/store/a'))).toBe(outcomes[at]);
    }
    expect(everySurvival(disk, 3)).toBeNull();
  });

  it('by seed is reproduced from its label, too', async () => {
    const disk = await unsyncedDisk();
    for (const survival of sampledSurvivals(5, 40)) {
      const outcome = disk.afterCrash(survival).digest();
      expect(disk.afterCrash(survivalOf(survival.label as string)).digest()).toBe(outcome);
    }
    expect(new Set([...sampledSurvivals(5, 40)].map(({ label }) => label)).size).toBe(40);
    expect([dropAll.label, keepAll.label, keepSome(77).label]).toEqual(['none', 'all', 'seed:77@0.5']);
  });

  it('that was enumerated on another state is refused', async () => {
    const disk = await unsyncedDisk();
    expect(() => survivalOf('all:1/13', disk)).toThrow('this one has 12 outcomes');
    expect(() => survivalOf('most of it')).toThrow('the label of no survival');
  });
});

/** Three things unsynced: a sector with two versions, and two with one. */
async function unsyncedDisk(): Promise<SimulatedDevice> {
  const disk = new SimulatedDevice();
  const file = await opened(disk, '/store/a', filled(3 * SECTOR, 1));
  for (const [at, version] of [2, 3, 4, 5].entries())
    file.writeSync(filled(SECTOR, version), Math.max(0, at - 1) * SECTOR);
  return disk;
}

/** The first byte of each sector. */
function markOf(bytes: Uint8Array): string {
  return Array.from({ length: Math.ceil(bytes.length / SECTOR) }, (_, sector) => bytes[sector * SECTOR]).join('');
}

function outcomesOf(disk: SimulatedDevice): string[] {
  const found = new Set<string>();
  for (const survival of everySurvival(disk, 12) ?? [])
    found.add(markOf(disk.afterCrash(survival).contentOf('/store/a')));
  return [...found].sort();
}
