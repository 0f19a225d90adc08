/**
 * Many commits in flight, the power goes, and some of their writes are lost and later ones are not: what recovery keeps behind such a hole (L4) is in the archive, and a
 * restoration has it, commit by commit, and nothing that recovery has cut, also before anything of the log that goes on is archived.
 *
 * `ARCHIVE_HOLES_SEED` repeats a run.
 */
import type { Engine, Transaction } from '@pagewright/core';
import { dropAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import { settled } from '@pagewright/testkit/rig';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ARCHIVE, BACKUP, RESTORED, STORE } from './archived-store.js';
import { blueprintOn, type EngineChoice, engineOn } from './engine-on.js';

const SEED = Number(process.env.ARCHIVE_HOLES_SEED ?? Date.now() % 2 ** 31);
const CHOICE: EngineChoice = { pageSize: 4096, memory: 2 ** 18, archive: ARCHIVE, commit: 'autonomous' };
/** Puts at once. */
const BESIDE = 60;
const HOLES_WANTED = 12;

/** The numbers that an index of the store has. */
async function numbersIn(db: Engine): Promise<number[]> {
  const index = await db.index('things', { key: 'u32', value: 'utf8' });
  return [...index.rangeSync()].map(([number, value]) => {
    expect(value.startsWith(`${number} `)).toBe(true);
    return number;
  });
}

/** Puts 1 to `BESIDE`, at once; disks as they were before operations of that, with all that was not synced. The commit of number n is `base + n`. */
async function run(seed: number) {
  const random = new Random(seed);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
  // In every other run segments are ended early for the archive, behind what is under way.
  const isTimed = seed % 2 === 0;
  const disk = new SimulatedDevice();
  await disk.makeDirectory('/archive');
  await disk.syncDirectory('/');
  const db = await engineOn(disk, STORE, CHOICE);
  const index = await db.index('things', { key: 'u32', value: 'utf8' });
  await db.backup(BACKUP);
  const base = db.lastCommit;
  const points: { readonly at: string; readonly disk: SimulatedDevice; readonly acknowledged: readonly number[] }[] =
    [];
  const acknowledged: number[] = [];
  disk.onOperation = ({ number, kind, path }) => {
    if (path.includes('-wal')) {
      points.push({ at: `${number}: ${kind} ${path}`, disk: disk.copy(), acknowledged: [...acknowledged] });
    }
  };
  // Writes that are under way beside each other end in any order.
  disk.hold = ({ kind, path }) => (kind !== 'read' && path.includes('-wal') ? settled(random.below(12)) : undefined);
  // None has seen another one, so none depends on another one.
  const waiting = Array.from({ length: BESIDE }, () => db.begin());
  const puts: Promise<void>[] = [];
  for (let n = 1; n <= BESIDE; n++) {
    const value = `${n} `.repeat(random.pick([10, 500, 1200]));
    const transaction = waiting.pop() as Transaction;
    transaction.put(index, n, value);
    puts.push(transaction.commit().then(() => void acknowledged.push(n)));
    if (isTimed && random.chance(0.15)) await vi.advanceTimersByTimeAsync(60_000);
    if (random.chance(0.5)) await settled(1);
  }
  await Promise.all(puts);
  disk.onOperation = null;
  disk.hold = null;
  vi.useRealTimers();
  expect(db.lastCommit).toBe(base + BESIDE);
  await db.close();
  return { base, points };
}

afterEach(() => {
  vi.useRealTimers();
});

async function restored(disk: SimulatedDevice, until?: number): Promise<number[]> {
  const copy = disk.copy();
  const blueprint = blueprintOn(copy, { ...CHOICE, archive: undefined });
  await blueprint.restore({ backup: BACKUP, archive: ARCHIVE, path: RESTORED, until });
  const db = await blueprint.open(RESTORED);
  const numbers = await numbersIn(db);
  await db.close();
  return numbers;
}

describe(`commits kept behind a hole (seed ${SEED})`, () => {
  it('are in the archive, and what was cut is not, for a restoration to every commit', async () => {
    let holes = 0;
    let gaps = 0;
    for (let round = 0; holes < HOLES_WANTED; round++) {
      expect(round, 'runs until there are enough holes').toBeLessThan(40);
      const seed = SEED + round;
      const random = new Random(seed);
      const { base, points } = await run(seed);
      for (let i = 0; i < 12 && holes < HOLES_WANTED; i++) {
        const { at, disk, acknowledged } = random.pick(points);
        const what = `ARCHIVE_HOLES_SEED=${seed}, crash before ${at}`;
        const crashed = disk.copy().afterCrash(random.pick([dropAll, keepSome(seed + i)]));
        const db = await engineOn(crashed, STORE, CHOICE);
        const kept = await numbersIn(db);
        for (const number of acknowledged) expect(kept, what).toContain(number);
        const isHole = crashed.files().some((path) => path.endsWith('-00000000.log'));
        if (!isHole) {
          await db.close();
          continue;
        }
        holes++;
        if (kept.length < (kept.at(-1) as number)) gaps++;
        // What is archived of the log that the crash has ended, and the new one is lost.
        await settled(50);
        const lost = crashed.copy().afterCrash(dropAll);
        const index = await db.index('things', { key: 'u32', value: 'utf8' });
        await index.put(1000, '1000 ');
        await index.put(1001, '1001 ');
        const last = db.lastCommit;
        await db.close();
        for (const [archived, end] of [
          [lost, base + (kept.at(-1) as number)],
          [crashed, last],
        ] as const) {
          const all = archived === lost ? kept : [...kept, 1000, 1001];
          expect(await restored(archived), what).toEqual(all);
          for (let until = base; until <= base + BESIDE && until <= end; until++) {
            const wanted = kept.filter((number) => base + number <= until);
            expect(await restored(archived, until), `${what}, until ${until}`).toEqual(wanted);
          }
          if (archived === crashed) {
            expect(await restored(archived, last - 1), what).toEqual(all.slice(0, -1));
            expect(await restored(archived, last), what).toEqual(all);
          }
        }
      }
    }
    expect(gaps, 'crashes that left something out').toBeGreaterThan(0);
  }, 180_000);
});
