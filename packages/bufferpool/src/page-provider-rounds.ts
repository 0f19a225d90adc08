/**
 * The work of the page provider (LeanStore, ICDE 2018, section IV-C): it sleeps until fewer frames are free than a low-water
 * mark, and then evicts until a high-water mark is reached. So other threads find frames free, and write no pages for them.
 */

import { getHeapStatistics } from 'node:v8';
import type { Threads } from '@pagewright/core/contracts';
import type { PageProviderSignal } from './page-provider-signal.js';
import { ENOUGH, type Residency } from './residency.js';

/** A policy that found nothing looks harder when it is asked again. After so many batches in vain nothing can leave now. */
const BATCHES_IN_VAIN = 2;

/** Returns when the provider is told to stop. Errors: `PW_THREAD_LOST`, `PW_CLOSED`, and those of writing. */
export function provideFrames(threads: Threads, residency: Residency, signal: PageProviderSignal): void {
  if (!signal.begin(threads.slot)) return;
  signal.holds(heapBytes());
  for (;;) {
    const reached = evictToHighWater(residency, signal);
    if (signal.isStopping) return;
    signal.holds(heapBytes());
    signal.sleep();
    // Somebody may have found this thread at work still. Where nothing can leave, who takes the next frame says when to try again.
    if (reached && residency.isBelowLowWater) signal.want();
    while (!signal.waitUntilWanted()) threads.assertWhole();
    threads.assertWhole();
  }
}

/** What V8 has of the system for this thread: its heap, and what it keeps beside that. */
function heapBytes(): number {
  const { total_physical_size: heap, malloced_memory: beside } = getHeapStatistics();
  return heap + beside;
}

/** Whether it came so far. */
function evictToHighWater(residency: Residency, signal: PageProviderSignal): boolean {
  for (let inVain = 0; inVain < BATCHES_IN_VAIN && !signal.isStopping; ) {
    const evicted = residency.provide();
    if (evicted === ENOUGH) return true;
    if (evicted === 0) inVain++;
    else inVain = 0;
  }
  return false;
}
