/** Clauses on when a commit is acknowledged: when the device has synced it, and not before (L1, IO3). */
import assert from 'node:assert/strict';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll } from '../device/survival.js';
import { LogHistory } from '../rig/log-history.js';
import { LogStore, newSuperblock, settled } from '../rig/log-store.js';
import type { LogClause, NewLog } from './log-clause.js';

export const durabilityClauses: readonly LogClause[] = [
  {
    id: 'acknowledged-is-durable',
    rules: ['L1'],
    says: 'loses no commit that was acknowledged, in the background or in place, though all that was not synced is lost',
    async check(create) {
      const history = new LogHistory(create);
      await history.open();
      for (let i = 0; i < 12; i++) {
        if (i % 2 === 0) history.commitSync(i * 100);
        else {
          history.commit(i * 100);
          await history.wait();
        }
        const crashed = history.fork();
        crashed.crash(dropAll);
        await crashed.open();
      }
    },
  },
  {
    id: 'waits-for-the-device',
    rules: ['L1'],
    says: 'acknowledges nothing while the device has not synced it',
    async check(create) {
      const { log, ...store } = await held(create);
      let acknowledged = 0;
      for (let i = 0; i < 3; i++)
        store.commit(100).then(
          () => acknowledged++,
          () => undefined,
        );
      await settled();
      assert.equal(acknowledged, 0, 'A commit was acknowledged while its sync was held back.');
      store.release();
      await log.commit(log.stats().appendedBytes);
      await settled();
      assert.equal(acknowledged, 3);
    },
  },
  {
    id: 'in-place-during-flush',
    rules: ['IO3', 'L1'],
    says: 'commits in place, durably, while a flush is under way that the event loop would have to finish (scenario 9)',
    async check(create) {
      for (const kind of ['write', 'sync'] as const) {
        const history = new LogHistory(create);
        await history.open();
        let release = (): void => undefined;
        history.disk.hold = (operation) =>
          operation.kind === kind ? new Promise((resolve) => (release = resolve)) : undefined;
        history.commit(100);
        history.commit(2000);
        await settled();
        history.commitSync(300);
        const crashed = history.fork();
        crashed.crash(dropAll);
        await crashed.open();
        history.disk.hold = null;
        release();
        await history.wait();
        assert.equal(history.acknowledged, 3);
        history.commitSync(10);
        history.crash(dropAll);
        await history.open();
      }
    },
  },
];

/** Commits whose sync the device holds back until `release`. */
async function held(create: NewLog) {
  const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
  const waiting: (() => void)[] = [];
  store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise((resolve) => waiting.push(resolve)) : undefined);
  return {
    log: store.log,
    commit: (size: number) => store.commit(size),
    release: () => {
      store.disk.hold = null;
      for (const go of waiting) go();
    },
  };
}
