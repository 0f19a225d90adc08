/** A thread that commits until there is log enough for a checkpoint, when it is told to. */
import { workerData } from 'node:worker_threads';
import { attach } from 'pagewright';

const { handle, told, commits } = workerData;
const words = new Int32Array(told);
const db = await attach(handle);
const index = await db.index('of a thread');
const say = (word, value) => {
  Atomics.store(words, word, value);
  Atomics.notify(words, word);
};
say(0, 1);
for (let round = 1; ; round++) {
  Atomics.wait(words, 1, round - 1);
  if (Atomics.load(words, 1) < 0) break;
  for (let i = 0; i < commits; i++) index.putSync(`key ${i}`, 'x'.repeat(5000), { durability: 'none' });
  say(0, 1 + round);
}
await db.close();
