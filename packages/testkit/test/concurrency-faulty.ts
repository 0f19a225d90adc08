/** How faults are planted in transactions: by wrappers around sound ones, or in the midst of what stands behind them. */
import type { Concurrency, Index, Target, TransactionCore } from '@pagewright/core';
import { Mvcc } from '@pagewright/mvcc';
import type { NewConcurrency } from '../src/index.js';
import { over } from './over.js';

/** Sound transactions with some methods replaced. */
export function changed(change: (mvcc: Mvcc) => Partial<Concurrency>): NewConcurrency {
  return (limits) => {
    const mvcc = new Mvcc(limits);
    return over<Concurrency>(mvcc, change(mvcc));
  };
}

/** Transactions that see every index through glasses. */
export function withTarget(change: (target: Target) => Partial<Target>): NewConcurrency {
  return changed((mvcc) => {
    const glasses = new WeakMap<Target, { index: Index; seen: Target }>();
    const seen = (target: Target): Target => {
      const known = glasses.get(target);
      if (known?.index === target.index) return known.seen;
      const made = { index: target.index, seen: over(target, change(target)) };
      glasses.set(target, made);
      return made.seen;
    };
    const transaction = (core: TransactionCore): TransactionCore =>
      over(core, {
        lookup: (target, key, into) => core.lookup(seen(target), key, into),
        scan: (target, bounds) => core.scan(seen(target), bounds),
        put: (target, key, value) => core.put(seen(target), key, value),
        delete: (target, key) => core.delete(seen(target), key),
      });
    return {
      begin: () => transaction(mvcc.begin()),
      lookup: (target, key, into, snapshot) => mvcc.lookup(seen(target), key, into, snapshot),
      scan: (target, bounds, snapshot) => mvcc.scan(seen(target), bounds, snapshot),
      commit: (writes) => mvcc.commit(writes.map((write) => ({ ...write, target: seen(write.target) }))),
    };
  });
}

/** What stands behind transactions that were started, where a fault is planted in the midst of them. */
export function partsOf<Parts>(mvcc: Mvcc): Parts {
  return Reflect.get(mvcc, 'parts');
}

/** Transactions whose parts are changed in every thread. */
export function insideAll<Parts>(change: (parts: Parts) => void): NewConcurrency {
  return changed((mvcc) => ({
    start: (host, timestamp) => {
      mvcc.start(host, timestamp);
      change(partsOf<Parts>(mvcc));
    },
    attach: (host, handle) => {
      mvcc.attach(host, handle);
      change(partsOf<Parts>(mvcc));
    },
  }));
}
