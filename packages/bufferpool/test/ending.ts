/** Stands for the end of a thread that has a slot: its number is one that no thread has. */
import type { Threads } from '../src/threads.js';

/** Of the words of a slot, which thread has it (`threads.ts`), and one of those after it. */
const TASK = 1;
const LATCHES = 3;
/** Above the largest that Linux gives out. */
const NO_TASK = 2 ** 23;

export function endThread(threads: Threads): void {
  Atomics.store(threads.words, threads.at('latches') - LATCHES + TASK, NO_TASK);
}
