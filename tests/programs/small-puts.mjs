// A transaction of very many small puts: `write` makes a backup, commits it and dies; `open`, `read` and `restore` find it again, and print what they have found as JSON.
import { open, restore } from 'pagewright';

const [step, path, archive, backup] = process.argv.slice(2);
const COUNT = 500_000;
const MEMORY = '64MiB';
const ENCODINGS = { key: 'u64', value: 'u32' };

async function write() {
  const db = await open(path, { memory: MEMORY, archive });
  const numbers = await db.index('numbers', ENCODINGS);
  await db.backup(backup);
  await db.transaction((tx) => {
    for (let i = 0; i < COUNT; i++) tx.put(numbers, BigInt(i), i);
  });
  process.kill(process.pid, 'SIGKILL');
}

async function recovered() {
  const steps = [];
  const db = await open(path, { memory: MEMORY, archive, onRecovery: ({ bytes }) => steps.push(bytes) });
  const { records } = db.recovered;
  // Another process is to meet the same.
  console.log(JSON.stringify({ ...(await contentOf(db)), records, steps }));
  process.kill(process.pid, 'SIGKILL');
}

async function read() {
  const db = await open(path, { memory: MEMORY, archive });
  const numbers = await db.index('numbers', ENCODINGS);
  let count = 0;
  let last = -1;
  for await (const transaction of db.log.read(0, { follow: false })) {
    for (const change of numbers.changesIn(transaction)) {
      if (change.type !== 'put') continue;
      count++;
      last = change.value;
    }
  }
  await db.close();
  console.log(JSON.stringify({ count, last }));
}

async function restored() {
  const steps = [];
  const onProgress = ({ phase, commits }) => phase === 'replay' && steps.push(commits);
  await restore({ backup, archive, path: `${path}-restored`, memory: MEMORY, onProgress });
  const db = await open(`${path}-restored`, { memory: MEMORY });
  console.log(JSON.stringify({ ...(await contentOf(db)), steps }));
  await db.close();
}

async function contentOf(db) {
  const numbers = await db.index('numbers', ENCODINGS);
  return { count: await numbers.count(), last: numbers.getSync(BigInt(COUNT - 1)) };
}

await { write, open: recovered, read, restore: restored }[step]();
