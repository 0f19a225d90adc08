/** Transactions keep the contract of concurrency control. */
import { concurrencyConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { Mvcc } from '../src/index.js';

concurrencyConformance({ describe, it }, { create: (limits) => new Mvcc(limits) });

describe('where all transactions are serializable that do not ask for less', () => {
  concurrencyConformance({ describe, it }, { create: (limits) => new Mvcc({ ...limits, isolation: 'serializable' }) });
});
