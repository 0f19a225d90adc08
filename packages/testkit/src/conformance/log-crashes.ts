/** Clauses on crashes: at every operation of a workload, in recovery itself, and in many lives of a store. */
import { dropAll, keepAll, keepSome } from '../device/survival.js';
import { Random } from '../random.js';
import { isPowerLoss, LogHistory } from '../rig/log-history.js';
import { settled } from '../rig/log-store.js';
import { during, type LogClause } from './log-clause.js';

export const crashClauses: readonly LogClause[] = [
  {
    id: 'crash-anywhere',
    rules: ['L1', 'L2'],
    says: 'finds all that was acknowledged after a crash at any operation, whatever the device keeps',
    async check(create) {
      await crashAnywhere(() => new LogHistory(create));
    },
  },
  {
    id: 'crash-anywhere-threads',
    rules: ['L1', 'L2'],
    says: 'finds all that was acknowledged to several threads after a crash at any operation, whatever the device keeps',
    needs: ['threads'],
    async check(create) {
      await crashAnywhere(() => new LogHistory(create, 2));
    },
  },
  {
    id: 'crash-in-recovery',
    rules: ['L3'],
    says: 'recovers from a crash at any operation of a recovery, twice in a row (scenario 25)',
    async check(create) {
      const found = new LogHistory(create);
      await found.open();
      for (const size of [400, 20_000, 60]) found.commit(size);
      await found.wait();
      found.commit(5000);
      await settled();
      found.crash(keepSome(7));
      for (let at = 1; ; at++) {
        const history = found.fork();
        history.disk.crashAt = at;
        const cutOff = await untilPowerLoss(history, () => history.open());
        if (!cutOff) break;
        history.crash(keepSome(at));
        const again = history.fork();
        again.disk.crashAt = Math.ceil(at / 2);
        await untilPowerLoss(again, () => again.open());
        again.crash(keepSome(at + 500));
        for (const each of [history, again]) await during(`operation ${at}`, () => each.open());
      }
    },
  },
  {
    id: 'many-lives',
    rules: ['L1', 'L3'],
    says: 'keeps its promises through lives of commits, checkpoints, crashes, kills and closes',
    async check(create) {
      for (let seed = 1; seed <= 50; seed++) {
        await during(`seed ${seed}`, () => lives(new LogHistory(create), new Random(seed)));
      }
    },
  },
  {
    id: 'many-lives-threads',
    rules: ['L1', 'L3'],
    says: 'keeps its promises to several threads through lives of commits, checkpoints, crashes, kills and closes',
    needs: ['threads'],
    async check(create) {
      for (let seed = 1; seed <= 50; seed++) {
        await during(`seed ${seed}`, () => lives(new LogHistory(create, 3), new Random(seed)));
      }
    },
  },
];

async function crashAnywhere(create: () => LogHistory): Promise<void> {
  const whole = create();
  await workload(whole);
  for (let at = 1; at <= whole.disk.operations + 1; at++) {
    for (const [which, survives] of [dropAll, keepAll, keepSome(at)].entries()) {
      await during(`operation ${at}, survival ${which}`, async () => {
        const history = create();
        history.disk.crashAt = at;
        await untilPowerLoss(history, () => workload(history));
        history.crash(survives);
        await history.open();
        history.commitSync(50);
        history.crash(dropAll);
        await history.open();
      });
    }
  }
}

async function workload(history: LogHistory): Promise<void> {
  await history.open();
  history.commit(10);
  history.commit(400);
  await history.wait();
  history.commitSync(30_000);
  history.commit(20_000);
  await history.wait();
  history.commit(700);
  history.commit(100_000);
  history.commitSync(30);
  await history.wait();
  await history.store.checkpoint();
  history.commit(50_000);
  await history.wait();
  history.commit(40);
  await history.wait();
}

/** Lives of all kinds; the store is open in the end. */
export async function lives(history: LogHistory, random: Random): Promise<void> {
  for (let life = random.between(1, 4); life > 0; life--) {
    if (random.chance(0.5)) history.disk.crashAt = history.disk.operations + random.below(100);
    const survives = keepSome(random.below(1_000_000), random.pick([0, 0.5, 0.9, 1]));
    const end = random.pick(['crash', 'crash', 'kill', 'close', 'discard'] as const);
    const cutOff = await untilPowerLoss(history, async () => {
      await history.open();
      for (let steps = random.below(20); steps > 0; steps--) await step(history, random);
      if (end === 'close' || end === 'discard') await history.close(end === 'discard', survives);
    });
    if (cutOff || end === 'crash') history.crash(survives);
    else if (end === 'kill') history.kill();
  }
  history.disk.crashAt = Number.POSITIVE_INFINITY;
  await history.open();
  await history.close(false, dropAll);
  await history.open();
}

async function step(history: LogHistory, random: Random): Promise<void> {
  const size = random.chance(0.7) ? random.below(300) : random.below(random.pick([20_000, 20_000, 140_000]));
  const choice = random.below(16);
  if (choice < 3) history.append(size);
  else if (choice < 9) history.commit(size);
  else if (choice < 12) history.commitSync(size);
  else if (choice < 15) await history.wait();
  else await history.store.checkpoint();
}

/** True if the work was cut off by the power; other errors are thrown. */
async function untilPowerLoss(history: LogHistory, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return history.disk.isDead;
  } catch (error) {
    if (!history.disk.isDead || !isPowerLoss(error)) throw error;
    return true;
  }
}
