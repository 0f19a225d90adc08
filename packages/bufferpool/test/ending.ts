/** Stands for the end of a thread that has a slot: its number becomes one that no thread has. */

/** Of the words of a slot (`threads.ts`), which thread has it. */
const TASK = 1;
const SLOT_WORDS = 16;
/** Above the largest that Linux gives out. */
const NO_TASK = 2 ** 23;

export function endThread(memory: SharedArrayBuffer, slot: number): void {
  Atomics.store(new Int32Array(memory), (1 + slot) * SLOT_WORDS + TASK, NO_TASK);
}
