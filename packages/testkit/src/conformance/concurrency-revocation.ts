/** Clauses on memory for old versions: when it runs short the oldest snapshot pays, and never with a wrong answer (T4). */
import assert from 'node:assert/strict';
import type { Snapshot } from '@pagewright/core';
import { Random } from '../random.js';
import { bytes, codeOf } from '../rig/concurrency-rig.js';
import { assertCode, assertReads, type ConcurrencyClause } from './concurrency-clause.js';
import { assertNothingKept, collectAll } from './concurrency-collection.js';

export const revocationClauses: readonly ConcurrencyClause[] = [
  {
    id: 'revocation',
    rules: ['T4'],
    says: 'revokes the oldest snapshot when memory for versions runs short (PW_SNAPSHOT_TOO_OLD), and no one else pays',
    needs: ['revocation', 'snapshots'],
    check(subject) {
      const versionMemory = 5000;
      const rig = subject.rig({ versionMemory });
      const target = rig.target();
      for (let i = 0; i < 40; i++) rig.put(target, `k${i}`, 'old');
      const oldest = rig.concurrency.snapshot();
      const scan = rig.openScan(target, oldest);
      for (let i = 0; i < 5; i++) rig.put(target, `k${i}`, 'new');
      const value = 'x'.repeat(200);
      for (let i = 0; i < 200; i++) {
        const brief = rig.concurrency.snapshot();
        rig.put(target, `k${5 + (i % 30)}`, value);
        brief.release();
        const { versionBytes } = rig.concurrency.stats();
        assert.ok(versionBytes <= versionMemory, `Versions take ${versionBytes} bytes; ${versionMemory} are allowed.`);
      }
      assert.ok(rig.kept > 0, 'The host was not told that what the oldest snapshot needed can be collected.');
      assertCode(() => oldest.assertStands(), 'PW_SNAPSHOT_TOO_OLD', 'The oldest snapshot');
      assertCode(() => rig.get(target, 'k0', oldest), 'PW_SNAPSHOT_TOO_OLD', 'A look-up');
      assertCode(() => rig.scan(target, oldest), 'PW_SNAPSHOT_TOO_OLD', 'A scan');
      assertCode(() => scan.next(), 'PW_SNAPSHOT_TOO_OLD', 'A scan that had begun');
      oldest.release();
      const fresh = rig.concurrency.snapshot();
      rig.put(target, 'k0', 'newer');
      assert.equal(rig.get(target, 'k0', fresh), 'new', 'A snapshot that is not the oldest has paid.');
    },
  },
  {
    id: 'revoked-transaction',
    rules: ['T4'],
    says: 'does not commit a transaction whose snapshot was revoked over a change that it never saw (scenario 36)',
    needs: ['revocation', 'write-conflicts'],
    check(subject) {
      const rig = subject.rig({ versionMemory: 1000 });
      const target = rig.target();
      rig.put(target, 'mine', 'old');
      for (let i = 0; i < 20; i++) rig.put(target, `k${i}`, 'x');
      const transaction = rig.concurrency.begin();
      transaction.put(target, bytes('mine'), bytes('mine'));
      rig.put(target, 'mine', 'theirs');
      for (let i = 0; i < 20; i++) rig.put(target, `k${i}`, 'y');
      const code = codeOf(() => transaction.commit());
      assert.ok(code === 'PW_SNAPSHOT_TOO_OLD' || code === 'PW_CONFLICT', `The commit came out as ${code}.`);
      assert.equal(rig.get(target, 'mine'), 'theirs');
    },
  },
  {
    id: 'one-large-commit',
    rules: ['T4'],
    says: 'commits what replaces more than the memory for versions holds, though every snapshot is revoked by it',
    needs: ['revocation', 'snapshots'],
    check(subject) {
      const rig = subject.rig({ versionMemory: 3000 });
      const target = rig.target();
      const writes = Array.from({ length: 100 }, (_, i) => ({ target, key: bytes(`k${i}`), value: bytes('x') }));
      rig.concurrency.commit(writes);
      const snapshot = rig.concurrency.snapshot();
      rig.concurrency.commit(writes.map((write) => ({ ...write, value: null })));
      assertReads(rig, target, null, [], 'The newest state');
      assertCode(() => rig.get(target, 'k1', snapshot), 'PW_SNAPSHOT_TOO_OLD', 'The snapshot');
      snapshot.release();
      collectAll(rig);
      assertNothingKept(rig, target, []);
    },
  },
  {
    id: 'revoked-never-wrong',
    rules: ['T2', 'T4'],
    says: 'answers through a snapshot as it should, or says that it is too old; never anything else',
    needs: ['revocation', 'snapshots'],
    check(subject) {
      for (let seed = 1; seed <= 25; seed++) {
        const random = new Random(seed);
        const rig = subject.rig({ versionMemory: random.between(300, 3000) });
        const target = rig.target();
        const keys = ['a', 'a1', 'b', 'b1', 'c', 'd'];
        const open: { snapshot: Snapshot; state: string[] }[] = [];
        for (let step = 0; step < 80; step++) {
          if (random.chance(0.2)) {
            const slot = random.below(4);
            open[slot]?.snapshot.release();
            open[slot] = { snapshot: rig.concurrency.snapshot(), state: rig.scan(target) };
          } else rig.put(target, random.pick(keys), random.chance(0.3) ? null : `v${step}`);
          for (const each of open) {
            if (each === undefined) continue;
            const { snapshot, state } = each;
            let seen: string[] = [];
            const code = codeOf(() => {
              seen = random.chance(0.5)
                ? rig.scan(target, snapshot)
                : keys.flatMap((key) => {
                    const value = rig.get(target, key, snapshot);
                    return value === undefined ? [] : [`${key}=${value}`];
                  });
            });
            if (code === 'PW_SNAPSHOT_TOO_OLD') continue;
            assert.deepEqual([code, ...seen], ['none', ...state], `Seed ${seed}, step ${step}.`);
          }
        }
      }
    },
  },
];
