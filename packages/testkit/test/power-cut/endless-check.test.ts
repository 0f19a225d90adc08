/** The check that all power cuts rest on, held to stores in which one thing is wrong. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Engine, open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkEndlessWork, EndlessWork, WriterRecord } from '../../src/index.js';
import { changesOf, LANES } from '../../src/power-cut/endless-script.js';

let home: string;
let db: Engine;
let told: WriterRecord;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'pagewright-check-'));
  db = await open(join(home, 'store.pw'), { memory: '4MiB' });
  told = new WriterRecord();
  const work = await EndlessWork.on(db, (line) => told.hear([line]));
  for (let stretch = 1; stretch <= 7; stretch++) await work.stretch();
});
afterEach(async () => {
  await db.close();
  rmSync(home, { recursive: true });
});

const index = (name: string) => db.index(name, { key: 'utf8', value: 'buffer' });
const check = () => checkEndlessWork(db, told);

describe('the check of endless work', () => {
  it('finds nothing wrong with a store that holds what its writer was told', async () => {
    expect(told.acknowledged).toEqual([70, 70, 70, 70]);
    expect(told.done).toBe(7);
    await expect(check()).resolves.toBeUndefined();
  });

  it('finds an acknowledged transaction that is not there', async () => {
    told.hear(['acknowledged 2 71']);
    await expect(check()).rejects.toThrow(
      'Transaction 71 of lane 2 was acknowledged; the last one that is there is 70.',
    );
  });

  it('finds a transaction that is there by half', async () => {
    await (await index('counts')).put('1', Buffer.from('71'));
    await expect(check()).rejects.toThrow(/lacks 1\/71|another value/);
  });

  it('finds an entry that is lost, changed, or should have gone', async () => {
    const sums = await index('sums');
    const value = (await sums.get('3/60')) as Uint8Array;
    await sums.delete('3/60');
    await expect(check()).rejects.toThrow('sums lacks 3/60');
    await sums.put('3/60', Buffer.alloc(value.length));
    await expect(check()).rejects.toThrow('sums has another value under 3/60');
    await sums.put('3/60', value);
    await sums.put('3/20', value);
    await expect(check()).rejects.toThrow('sums has 3/20, which is not there any more');
  });

  it('finds that an index was cleared or dropped which is told to be there', async () => {
    await (await index('dropped')).clear();
    await expect(check()).rejects.toThrow('dropped lacks');
    await db.dropIndex('dropped');
    await expect(check()).rejects.toThrow('The index dropped is missing');
  });

  it('allows both states while nobody was told that an index was cleared, and one afterwards', async () => {
    const cleared = await index('cleared');
    expect([...cleared.rangeSync()]).toEqual([]); // stretch 7 ends with it
    told.done = 6;
    await expect(check()).resolves.toBeUndefined();
    await cleared.put('0/1', Buffer.from('from before'));
    await expect(check()).rejects.toThrow(/Or: cleared has 0\/1/);
  });

  it('finds that an acknowledged clear or drop is not there, and says that it is that', async () => {
    const cleared = await index('cleared');
    for (let lane = 0; lane < LANES; lane++) {
      for (let number = 41; number <= 70; number++) {
        const change = changesOf(lane, number).find((each) => each.index === 'cleared')!;
        await cleared.put(change.key, change.value!);
      }
    }
    await expect(check()).rejects.toThrow(
      'The clear after 70 transactions of each lane was acknowledged, and is not there',
    );
    told.done = 6;
    await expect(check()).resolves.toBeUndefined();
    told.done = 7;
    await cleared.delete('0/41');
    await expect(check()).rejects.toThrow('cleared has 0/42, which is not there any more');
  });

  it('finds that a lane has gone on while the others had not come to the end of the stretch', async () => {
    await (await index('counts')).put('0', Buffer.from('81'));
    await expect(check()).rejects.toThrow('No lane may be a stretch ahead of another');
  });
});
