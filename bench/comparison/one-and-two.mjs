/** One thread and two on one store. The turns of one and of two alternate within the process. */
import { checkScan } from './answers.mjs';
import { NotThere } from './not-there.mjs';
import { middleOf } from './statistics.mjs';
import { Threads } from './threads.mjs';

const TURNS = 3;

/** `program`: what a thread does, as `Threads` takes it; afterwards the store has to have what it had before. */
export async function oneAndTwo({ engine, store, data, task, seed }, program) {
  const handle = store.share?.();
  if (handle === undefined || engine.attach === undefined) {
    throw new NotThere('other threads cannot join it, or its adapter does not');
  }
  // As far as memory goes, all is there before the clock runs.
  await store.scan(() => {});
  const threads = await Threads.start(2, task, handle, program);
  const one = [];
  const two = [];
  await threads.run(2, seed);
  for (let turn = 1; turn <= TURNS; turn++) {
    one.push(await threads.run(1, seed + turn));
    two.push(await threads.run(2, seed + turn));
  }
  await threads.end();
  await checkScan(store, data);
  return { one: middleOf(one), two: middleOf(two) };
}
