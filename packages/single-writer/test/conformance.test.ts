/** Transactions with a single writer keep the contract of concurrency control, as far as it is for one writer at a time. */
import { Mvcc } from '@pagewright/mvcc';
import { concurrencyConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { SingleWriter } from '../src/index.js';

concurrencyConformance(
  { describe, it },
  {
    create: (limits) => new SingleWriter(new Mvcc(limits), { waitSyncMs: 0 }),
    manifest: { snapshots: true, savepoints: true, revocation: true, threads: true, turns: true },
  },
);
