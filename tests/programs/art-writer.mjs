// Writes the same number to a B+-tree and to a radix tree, each time in one transaction, and prints it when it is durable, until it is killed. As a worker thread it
// joins the store of who started it, writes numbers of its own, and says when it has written them.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { art } from '@pagewright/index-art';
import { btree } from '@pagewright/index-btree';
import { attach, open } from 'pagewright';

const parts = { indexes: [btree(), art()] };

async function write(db, from, count, acknowledged) {
  const names = await db.index('names', { key: 'utf8', value: 'u32' });
  const paths = await db.index('paths', { type: 'art', key: 'utf8', value: 'json' });
  for (let number = from; number < from + count; number++) {
    await db.transaction((transaction) => {
      transaction.put(names, `name ${number}`, number);
      transaction.put(paths, `/srv/files/${number % 97}/${number}`, { number, text: 'x'.repeat(number % 300) });
      if (number % 3 === 0) transaction.delete(paths, `/srv/files/${(number - 2) % 97}/${number - 2}`);
    });
    acknowledged(number);
  }
}

if (isMainThread) {
  const [path, from] = process.argv.slice(2);
  const db = await open(path, { memory: '8MiB', pageSize: '4KiB', ...parts });
  await write(db, Number(from), Number.POSITIVE_INFINITY, (number) => process.stdout.write(`${number}\n`));
} else {
  const { handle, from, count } = workerData;
  const db = await attach(handle, parts);
  await write(db, from, count, () => {});
  await db.close();
  parentPort.postMessage('done');
}
