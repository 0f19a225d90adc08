/** What people do whose log is damaged and who have no other copy: they open the store as it was right before, are told what that costs, and it stays so. */
import { type Engine, isPagewrightError, type OpenOptions } from '@pagewright/core';
import { dropAll, SimulatedDevice } from '@pagewright/testkit';
import { open } from 'pagewright';
import { describe, expect, it } from 'vitest';
import { engineOn } from './engine-on.js';
import { commitsOn, erase } from './log-surgery.js';

const PATH = '/store/damaged.pw';
const DIRECTORY = `${PATH}-wal`;

const index = (db: Engine) => db.index<string, number>('things', { key: 'utf8', value: 'json' });
const opened = (disk: SimulatedDevice, opening: OpenOptions = {}) => engineOn(disk, PATH, { opening });
const names = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `key/${String(from + i).padStart(2, '0')}`);

async function keysOf(db: Engine): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of (await index(db)).keys()) keys.push(key);
  return keys;
}

/** Twenty commits that were acknowledged one after another, five of them in the checkpoint; then the power went. */
async function crashed(): Promise<SimulatedDevice> {
  const disk = new SimulatedDevice();
  const db = await opened(disk);
  const things = await index(db);
  for (const [i, key] of names(0, 20).entries()) {
    await things.put(key, i);
    if (i === 4) await db.checkpoint();
  }
  const after = disk.afterCrash(dropAll);
  await db.close().catch(() => undefined);
  return after;
}

async function refusal(work: Promise<Engine>) {
  const error = await work.then(
    async (db) => {
      await db.close();
      throw new Error('the store was opened');
    },
    (reason: unknown) => reason,
  );
  if (!isPagewrightError(error)) throw error;
  return error;
}

describe('a store whose log is damaged', () => {
  it('is refused, and says where the damage is and what can be done', async () => {
    const disk = await crashed();
    const commit = commitsOn(disk).at(-7)!;
    erase(disk, commit);
    const files = disk.files().map((path) => [path, disk.contentOf(path)]);
    const error = await refusal(opened(disk.copy()));
    expect(error.code).toBe('PW_CORRUPT_LOG');
    const { path, segment, offset } = commit;
    expect(error.details).toEqual({ path, segment, offset, damage: 'zeroed' });
    expect(error.message).toContain("recover: 'stop-before-damage'");
    const refused = disk.copy();
    await refusal(opened(refused));
    expect(refused.files().map((each) => [each, refused.contentOf(each)])).toEqual(files);
  });

  it('is opened as it was right before, if that is asked for, says what it gives up, and never has it again', async () => {
    const disk = await crashed();
    const commits = commitsOn(disk);
    const commit = commits.at(-7)!; // that of key/13
    erase(disk, commit);
    const db = await opened(disk, { recover: 'stop-before-damage' });
    expect(await keysOf(db)).toEqual(names(0, 13));
    const { path, segment, offset, timestamp } = commit;
    expect(db.recovered).toMatchObject({
      records: 8,
      givenUp: {
        damage: { kind: 'zeroed', path, segment, offset },
        first: timestamp,
        last: timestamp + 6,
        whole: [{ first: timestamp + 1, last: timestamp + 6 }],
        wholeCount: 6,
        unreadable: [{ first: timestamp, last: timestamp, segment, offset }],
      },
    });
    expect((await db.verify()).problems).toEqual([]);
    await (await index(db)).put('new', 1);
    const crash = disk.afterCrash(dropAll);
    for (const { timestamp: later } of commitsOn(crash)) expect(later).toBeGreaterThan(timestamp + 6);
    const again = await opened(crash);
    expect(await keysOf(again)).toEqual([...names(0, 13), 'new']);
    expect(again.recovered.givenUp).toBeNull();
    await again.close();
    await db.close().catch(() => undefined);
  });

  it('is the state of its checkpoint when the log is gone, and what that costs is not known', async () => {
    const disk = await crashed();
    for (const path of disk.files()) if (path.startsWith(DIRECTORY)) disk.drop(path);
    expect(await refusal(opened(disk.copy()))).toMatchObject({
      code: 'PW_CORRUPT_LOG',
      details: { damage: 'missing-segment' },
    });
    const db = await opened(disk, { recover: 'stop-before-damage' });
    expect(await keysOf(db)).toEqual(names(0, 5));
    expect(db.recovered.givenUp).toMatchObject({ last: null, wholeCount: 0, unreadable: [{ last: null }] });
    await db.close();
  });

  it("is refused all the same when the log is another store's, which would be lost with it", async () => {
    const disk = await crashed();
    const other = await crashed();
    const [path] = disk.files().filter((name) => name.startsWith(DIRECTORY));
    const [foreign] = other.files().filter((name) => name.startsWith(DIRECTORY));
    disk.put(path!, other.contentOf(foreign!));
    for (const recover of ['all', 'stop-before-damage'] as const) {
      const error = await refusal(opened(disk.copy(), { recover }));
      expect(error).toMatchObject({ code: 'PW_CORRUPT_LOG', details: { damage: 'foreign-segment' } });
      expect(error.message).not.toContain('stop-before-damage');
    }
  });

  it('that is sound loses nothing by the option, also when the last commits are torn', async () => {
    const disk = await crashed();
    erase(disk, commitsOn(disk).at(-1)!);
    const db = await opened(disk, { recover: 'stop-before-damage' });
    expect(await keysOf(db)).toEqual(names(0, 19));
    expect(db.recovered.givenUp).toBeNull();
    await db.close();
  });
});

describe('the option', () => {
  it.each([['everything'], [true], [null]])('is refused as %s', async (recover) => {
    const error = await refusal(opened(new SimulatedDevice(), { recover: recover as never }));
    expect(error).toMatchObject({ code: 'PW_OPTION_INVALID', details: { option: 'recover' } });
  });

  it('is refused for a store that is opened read-only, which is read without its log', async () => {
    const opening = { readOnly: true, recover: 'stop-before-damage' } as const;
    const error = await refusal(opened(await crashed(), opening));
    expect(error).toMatchObject({ code: 'PW_OPTION_INVALID', details: { option: 'recover' } });
  });

  it('is one of the open of pagewright', async () => {
    const error = await refusal(open('/nowhere/at/all.pw', { create: false, recover: 'stop-before-damage' }));
    expect(error.code).not.toBe('PW_OPTION_INVALID');
    expect(await refusal(open('/nowhere/at/all.pw', { recover: 'nothing' as never }))).toMatchObject({
      code: 'PW_OPTION_INVALID',
    });
  });
});
