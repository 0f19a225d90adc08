/**
 * Lines of the list of scenarios on what a crash leaves of commits that were in flight side by side, and on what may become of that later. The
 * whole engine is at it; what its writes have left is changed in the files of the log.
 */
import type { Engine } from '@pagewright/core';
import { dropAll, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { engineOn } from '../engine-on.js';
import { commitsOn, erase, type LoggedCommit, rewrite } from '../log-surgery.js';

const PATH = '/store/scenario.pw';
const DIRECTORY = `${PATH}-wal/`;

const index = (db: Engine) => db.index<string, number>('things', { key: 'utf8', value: 'json' });

async function contentOf(db: Engine): Promise<Record<string, number>> {
  const content: Record<string, number> = {};
  for await (const [key, value] of (await index(db)).range()) content[key] = value;
  return content;
}

/** The power is gone: whatever is still called comes to nothing. */
async function abandon(db: Engine): Promise<void> {
  await db.close().catch(() => undefined);
}

/** `a` and `b` are committed; then 1, 2 and 3 are in flight when the power goes, and 1 and 3 land. Only when `independent` 3 does not depend on 2. */
async function crashed({ independent }: { readonly independent: boolean }): Promise<SimulatedDevice> {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH);
  const things = await index(db);
  await things.put('a', 0);
  await db.checkpoint();
  await things.put('b', 0);
  for (const number of [1, 2, 3]) await things.put(`key/${number}`, number);
  const after = disk.afterCrash(dropAll);
  await abandon(db);
  // As if none of the three had been durable when another one was appended.
  const [first, second, third] = commitsOn(after).slice(-3) as [LoggedCommit, LoggedCommit, LoggedCommit];
  for (const commit of [first, second, third]) rewrite(after, commit, { durable: first });
  erase(after, second);
  if (independent) rewrite(after, third, { dependsOn: first.timestamp });
  return after;
}

it('scenario 26: of three commits in flight the first and the last land: that is no damage, and the last is there if it depends on the first alone', async () => {
  for (const independent of [false, true]) {
    const disk = await crashed({ independent });
    const db = await engineOn(disk, PATH);
    const third = independent ? { 'key/3': 3 } : {};
    expect(await contentOf(db)).toEqual({ a: 0, b: 0, 'key/1': 1, ...third });
    expect(db.recovered).toMatchObject({ records: independent ? 3 : 2, givenUp: null });
    expect(db.recovered.tornBytes).toBeGreaterThan(0);
    expect((await db.verify()).problems).toEqual([]);
    await db.close();
  }
});

it('scenario 27: new commits take the place of the hole, and what lay behind it does not come to life', async () => {
  for (const independent of [false, true]) {
    const disk = await crashed({ independent });
    const old = disk.copy();
    const db = await engineOn(disk, PATH);
    const things = await index(db);
    await things.put('new', 1);
    const kept = independent ? { 'key/3': 3 } : {};
    const expected = { a: 0, b: 0, 'key/1': 1, ...kept, new: 1 };
    const crash = disk.afterCrash(dropAll);
    const highest = Math.max(...commitsOn(old).map(({ timestamp }) => timestamp));
    for (const { timestamp } of commitsOn(crash)) expect(timestamp).toBeGreaterThan(highest);
    const again = await engineOn(crash, PATH);
    expect(await contentOf(again)).toEqual(expected);
    await again.close();
    await abandon(db);
  }
});

it('scenario 28: a commit that was left out does not come back when its log is found again, though there are as many commits again', async () => {
  const disk = await crashed({ independent: false });
  const old = disk.copy();
  const db = await engineOn(disk, PATH);
  const things = await index(db);
  for (let number = 0; number < 5; number++) await things.put(`new/${number}`, number);
  const crash = disk.afterCrash(dropAll);
  // As if the files of the old log had not been removed for good.
  for (const path of old.files()) if (path.startsWith(DIRECTORY)) crash.put(path, old.contentOf(path));
  const again = await engineOn(crash, PATH);
  const content = await contentOf(again);
  expect(Object.keys(content)).toEqual(['a', 'b', 'key/1', 'new/0', 'new/1', 'new/2', 'new/3', 'new/4']);
  await again.close();
  await abandon(db);
});

it('scenario 29: a replay from an older superblock passes the gap that recovery had left, with what it kept, and goes on in the log after it', async () => {
  for (const independent of [false, true]) {
    const disk = await crashed({ independent });
    const old = disk.copy();
    const db = await engineOn(disk, PATH);
    const things = await index(db);
    for (let number = 0; number < 5; number++) await things.put(`new/${number}`, number);
    // The superblocks are those from before the recovery; of the log all is there.
    const older = disk.afterCrash(dropAll);
    for (const path of old.files()) older.put(path, old.contentOf(path));
    const again = await engineOn(older, PATH);
    const kept = independent ? ['key/3'] : [];
    const expected = ['a', 'b', 'key/1', ...kept, 'new/0', 'new/1', 'new/2', 'new/3', 'new/4'];
    expect(Object.keys(await contentOf(again))).toEqual(expected);
    expect((await again.verify()).problems).toEqual([]);
    await again.close();
    await abandon(db);
  }
});
