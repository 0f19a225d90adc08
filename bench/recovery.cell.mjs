/** One step of `recovery.mjs`, in a process of its own. What it has found out is its last line. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'pagewright';

const task = JSON.parse(process.argv[2]);
const tasks = { fill, write, open: reopen };
await tasks[task.task](task);

async function fill({ path, memory, keys, valueBytes }) {
  const db = await open(path, { memory });
  const index = await db.index('bench', { key: 'utf8', value: 'buffer' });
  await index.bulkLoad(entries(keys, valueBytes));
  await db.close();
  console.log('{}');
}

function* entries(keys, valueBytes) {
  for (let number = 0; number < keys; number++) yield [keyOf(number), new Uint8Array(valueBytes)];
}

function keyOf(number) {
  return `key ${String(number).padStart(12, '0')}`;
}

/** Until it is killed. */
async function write({ path, memory, keys, inFlight, changes, valueBytes, durability }) {
  const db = await open(path, { memory });
  const index = await db.index('bench');
  const value = new Uint8Array(valueBytes);
  let count = 0;
  const put = () => ({ type: 'put', index, key: keyOf(Math.floor(Math.random() * keys)), value });
  const commit =
    changes === 1
      ? () => index.put(put().key, value, { durability })
      : () => db.batch(Array.from({ length: changes }, put), { durability });
  console.log('0');
  setInterval(() => console.log(count), 100);
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (;;) {
        await commit();
        count++;
      }
    }),
  );
}

async function reopen({ path, memory }) {
  const logBytes = readdirSync(`${path}-wal`).reduce((sum, name) => sum + statSync(join(`${path}-wal`, name)).size, 0);
  const begun = performance.now();
  const db = await open(path, { memory });
  const openMs = performance.now() - begun;
  const { records, durationMs: replayMs } = db.recovered;
  await db.close();
  console.log(JSON.stringify({ openMs, replayMs, records, logBytes }));
}
