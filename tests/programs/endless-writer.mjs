// Writes transactions until it is killed. Each acknowledged one is told on standard output, one number a line, by a
// synchronous write, so that what the reader has seen was acknowledged.
import { writeSync } from 'node:fs';
import { open } from 'pagewright';

const [path, commit, pageSize, first] = process.argv.slice(2);
const db = await open(path, { memory: '4MiB', commit, pageSize: Number(pageSize), checkpoint: { logBytes: 200_000 } });
const data = await db.index('data', { key: 'utf8', value: 'buffer' });
const sums = await db.index('sums', { key: 'u32', value: 'json' });
writeSync(1, 'ready\n');

let next = Number(first);
async function writer() {
  for (;;) {
    const number = next++;
    await db.transaction((tx) => {
      for (let part = 0; part < 5; part++) {
        const value = Buffer.alloc(20 + ((number * 37 + part * 911) % 3000), number & 0xff);
        value.writeUInt32LE(number, 0);
        tx.put(data, `slot/${(number * 5 + part * 13) % 400}`, value);
      }
      tx.put(sums, number, { parts: 5 });
      if (number > 50) tx.delete(sums, number - 50);
    });
    writeSync(1, `${number}\n`);
  }
}
await Promise.all(Array.from({ length: 4 }, writer));
