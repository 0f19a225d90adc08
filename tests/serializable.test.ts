/** Serializable transactions, as programs use them: with retries, over several indexes, with pages that are evicted and checkpoints in between. */
import type { BeginOptions, Engine, IndexHandle, Transaction } from '@pagewright/core';
import { Random, SimulatedDevice } from '@pagewright/testkit';
import { settled } from '@pagewright/testkit/rig';
import { expect, test } from 'vitest';
import { engineOn } from './engine-on.js';

const SEED = Number(process.env.SERIALIZABLE_SEED ?? Date.now() % 2 ** 31);
interface Account {
  readonly balance: number;
  readonly padding: string;
}

type Two = readonly [IndexHandle<number, Account>, IndexHandle<number, Account>];

const SERIALIZABLE: BeginOptions = { isolation: 'serializable' };

async function hospital(): Promise<{ db: Engine; onCall: (tx: Transaction) => string[]; leave: typeof leave }> {
  const db = await engineOn(new SimulatedDevice(), '/app.pw');
  const doctors = await db.index<string, boolean>('doctors', { key: 'utf8', value: 'json' });
  for (const name of ['ada', 'bob', 'eve']) await doctors.put(name, name !== 'eve');
  const onCall = (tx: Transaction): string[] =>
    [...tx.rangeSync(doctors)].filter(([, isOnCall]) => isOnCall).map(([name]) => name);
  /** Whoever is on call may leave if somebody else is. */
  const leave = (name: string, options: BeginOptions): Promise<boolean> =>
    db.transaction(async (tx) => {
      if (onCall(tx).length < 2) return false;
      await settled(3);
      tx.put(doctors, name, false);
      return true;
    }, options);
  return { db, onCall, leave };
}

test('of two that each rely on what the other changes one is run again, and sees what the first has done', async () => {
  const { db, onCall, leave } = await hospital();
  const left = await Promise.all([leave('ada', SERIALIZABLE), leave('bob', SERIALIZABLE)]);
  expect(left.filter(Boolean).length).toBe(1);
  expect(db.transactionSync(onCall).length).toBe(1);
  expect(db.stats().concurrency.conflicts).toBe(1);
  await db.close();
});

test('with snapshot isolation both go through, which is why there is the other one', async () => {
  const { db, onCall, leave } = await hospital();
  expect(await Promise.all([leave('ada', {}), leave('bob', { isolation: 'snapshot' })])).toEqual([true, true]);
  expect(db.transactionSync(onCall)).toEqual([]);
  await db.close();
});

test('a transaction whose function fails beside its own commit is not run again when that has gone through', async () => {
  const { db } = await hospital();
  const counts = await db.index<string, number>('counts', { key: 'utf8', value: 'json' });
  await counts.put('own', 0);
  let runs = 0;
  const running = db.transaction(async (tx) => {
    runs++;
    tx.put(counts, 'own', (await tx.get(counts, 'own'))! + 1);
    const inner = db.begin();
    inner.put(counts, 'other', runs);
    if (runs === 1) counts.putSync('other', 100);
    await Promise.all([tx.commit(), inner.commit()]);
  });
  await expect(running).rejects.toMatchObject({ code: 'PW_CONFLICT' });
  expect([runs, await counts.get('own')]).toEqual([1, 1]);
  await db.close();
});

test('a conflict says which key was read, and by which commit it was changed', async () => {
  const { db } = await hospital();
  const doctors = await db.index<string, boolean>('doctors');
  const rota = await db.index<string, string>('rota', { key: 'utf8', value: 'utf8' });
  const tx = db.begin(SERIALIZABLE);
  expect(await tx.get(doctors, 'zoe')).toBeUndefined();
  tx.put(rota, 'monday', 'nobody');
  await doctors.put('zoe', true);
  const { lastCommit } = db;
  await expect(tx.commit()).rejects.toMatchObject({
    code: 'PW_CONFLICT',
    message: expect.stringMatching(/key "zoe" of index 'doctors', which this one has read/),
    details: { index: 'doctors', committed: lastCommit, has: 'read' },
  });
  expect(await rota.get('monday')).toBeUndefined();
  await db.close();
});

test(`accounts that may be overdrawn together, but not as a sum, never are (seed ${SEED})`, async () => {
  const random = new Random(SEED);
  const disk = new SimulatedDevice();
  // Two accounts of each customer lie on pages that are evicted all the time.
  const choice = { pageSize: 4096, memory: 2 ** 18 };
  const db = await engineOn(disk, '/app.pw', choice);
  const open = { key: 'u32', value: 'json' } as const;
  const [checking, savings] = (await Promise.all(
    ['checking', 'savings'].map((name) => db.index<number, Account>(name, open)),
  )) as unknown as Two;
  const padding = 'x'.repeat(900);
  const customers = 300;
  const few = Array.from({ length: 12 }, () => random.below(customers));
  const entries = Array.from({ length: customers }, (_, customer) => [customer, { balance: 50, padding }] as const);
  for (const index of [checking, savings]) await index.bulkLoad(entries);
  let refused = 0;
  const withdraw = async (): Promise<void> => {
    const customer = random.pick(few);
    const from = random.pick([checking, savings]);
    await db.transaction(
      async (tx, attempt) => {
        if (attempt > 1) refused++;
        const balances: number[] = [];
        for (const index of [checking, savings]) {
          if (random.chance(0.5)) balances.push((await tx.get(index, customer))!.balance);
          else
            for await (const [, { balance }] of tx.range(index, { gte: customer, lte: customer }))
              balances.push(balance);
        }
        const sum = balances[0]! + balances[1]!;
        const amount = sum >= 60 ? 60 : -60;
        await settled(random.below(3));
        tx.put(from, customer, { balance: balances[from === checking ? 0 : 1]! - amount, padding });
      },
      { ...SERIALIZABLE, retries: 1000 },
    );
  };
  for (let round = 0; round < 12; round++) {
    await Promise.all([...Array.from({ length: 10 }, withdraw), random.chance(0.3) ? db.checkpoint() : null]);
    for (const customer of few) {
      const sum = [checking, savings].reduce((all, index) => all + index.getSync(customer)!.balance, 0);
      expect(sum, `customer ${customer}`).toBeGreaterThanOrEqual(0);
    }
  }
  expect(refused, 'transactions that were run again').toBeGreaterThan(0);
  await db.close();
}, 60_000);
