/** Writes to a database until it is killed, and tells what was acknowledged: how, and the number of the entry. */
import { writeSync } from 'node:fs';
import { PagewrightLevel } from '../../src/index.js';

const db = new PagewrightLevel(process.argv[2] as string, { memory: '4MiB' });
const sub = db.sublevel('sub');

function tell(line: string): void {
  writeSync(1, `${line}\n`);
}

for (let n = 0; ; n++) {
  const key = String(n).padStart(6, '0');
  await db.put(`put ${key}`, 'value');
  tell(`put ${n}`);
  await db.put(`unsynced ${key}`, 'value', { sync: false });
  tell(`unsynced ${n}`);
  await db.batch([
    { type: 'put', key: `batch ${key}`, value: 'value' },
    { type: 'put', key, value: 'value', sublevel: sub },
  ]);
  tell(`batch ${n}`);
  await db.transaction(async (tx) => {
    tx.put('count', String(Number((await tx.get('count')) ?? 0) + 1));
    tx.put(`counted ${key}`, 'value', { sublevel: sub });
  });
  tell(`counted ${n}`);
  if (n % 10 === 9) {
    await db.clear({ gte: 'batch ', lt: 'batch!' });
    tell(`clear ${n}`);
  }
}
