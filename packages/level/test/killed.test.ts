/** What was acknowledged is there after the process was killed, and nothing by half. */
import { runUntilKilled } from '@pagewright/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundled } from './program.js';
import { Rig } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.end());

test('a killed process loses nothing that it was told is there, with sync or without', async () => {
  const program = await bundled('writer', rig.directory);
  const told = { put: -1, unsynced: -1, batch: -1, counted: -1, clear: -1 };
  for (const lines of [37, 64, 111]) {
    const args = [program, rig.path(`${lines}.pw`)];
    const progress = await runUntilKilled({ command: process.execPath, args, isTime: (all) => all.length >= lines });
    Object.assign(told, { put: -1, unsynced: -1, batch: -1, counted: -1, clear: -1 });
    for (const line of progress) {
      const [what, number] = line.split(' ') as [keyof typeof told, string];
      told[what] = Number(number);
    }
    const db = await rig.open({}, `${lines}.pw`);
    const sub = db.sublevel('sub');
    expect(db.engine.recovered.records, 'it was not closed').toBeGreaterThan(0);
    for (let n = 0; n <= told.put; n++) {
      const key = String(n).padStart(6, '0');
      expect(await db.get(`put ${key}`), `put ${n}`).toBe('value');
      if (n <= told.unsynced) expect(await db.get(`unsynced ${key}`), `unsynced ${n}`).toBe('value');
      if (n <= told.batch) expect(await sub.get(key), `batch ${n}`).toBe('value');
      if (n <= told.batch && n > told.clear + 10) expect(await db.get(`batch ${key}`), `batch ${n}`).toBe('value');
      if (n <= told.clear) expect(await db.get(`batch ${key}`), `cleared ${n}`).toBeUndefined();
    }
    const counted = (await sub.keys({ gte: 'counted ' }).all()).length;
    expect(await db.get('count')).toBe(String(counted));
    expect(counted).toBeGreaterThanOrEqual(told.counted + 1);
    await db.close();
  }
});
