/**
 * Whether a store that is opened again has every commit that was acknowledged, and nothing that was never begun. The process that committed was killed, so
 * that what the store has it has from its files.
 */
import { WrongAnswer } from '../comparison/wrong-answer.mjs';
import { keyOf, numberIn } from './entries.mjs';

/**
 * `flagsOfThreads`: of each thread, of each entry that it began, whether it was acknowledged. `keeps`: how many entries a store has room for, before later
 * ones take the place of earlier ones. Returns how many acknowledged ones were found. Errors: {@link WrongAnswer}.
 */
export async function checkEntries(store, flagsOfThreads, keeps = Number.POSITIVE_INFINITY) {
  const threads = flagsOfThreads.length;
  const found = flagsOfThreads.map(({ length }) => new Uint8Array(length));
  await store.scan((key, value) => {
    const number = numberIn(value);
    if (number < 0 || key !== keyOf(number)) throw new WrongAnswer(`${key} has not the value that was committed`);
    const ofThread = found[number % threads];
    const at = Math.floor(number / threads);
    if (at >= ofThread.length) throw new WrongAnswer(`${key} was never committed`);
    if (ofThread[at] === 1) throw new WrongAnswer(`${key} is there twice`);
    ofThread[at] = 1;
  });
  const begun = Math.max(...flagsOfThreads.map(({ length }, thread) => thread + (length - 1) * threads)) + 1;
  let checked = 0;
  let lost = 0;
  for (const [thread, flags] of flagsOfThreads.entries()) {
    for (let at = 0; at < flags.length; at++) {
      const isReplaced = begun - (thread + at * threads) > keeps;
      if (flags[at] === 0 || isReplaced) continue;
      checked++;
      if (found[thread][at] === 0) lost++;
    }
  }
  if (lost > 0) throw new WrongAnswer(`${lost} of ${checked} commits that were acknowledged are gone`);
  return checked;
}
