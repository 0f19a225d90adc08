/**
 * Whatever the moment at which the power goes, nothing that was acknowledged is missing from the archive once the store was opened and closed again:
 * the archive and the backup give what the store itself has, and all that it had before.
 *
 * `ARCHIVE_SEED` repeats a run.
 */
import { dropAll, keepAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import { settled } from '@pagewright/testkit/rig';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ARCHIVE, ArchivedStore, BACKUP, contentOf, RESTORED, SMALL, STORE } from './archived-store.js';
import { blueprintOn, engineOn } from './engine-on.js';

const SEED = Number(process.env.ARCHIVE_SEED ?? Date.now() % 2 ** 31);
/** Crashes beside those at operations on the archive. */
const ELSEWHERE = 120;

interface CrashPoint {
  readonly at: string;
  readonly device: SimulatedDevice;
  /** The last commit that was acknowledged. */
  readonly acknowledged: number;
}

/** Writes, is closed and opened, and keeps the disk as it was before operations that are chosen. */
async function run(
  seed: number,
  isTimed: boolean,
): Promise<{ readonly store: ArchivedStore; readonly points: CrashPoint[] }> {
  const disk = new SimulatedDevice();
  await disk.makeDirectory('/archive');
  await disk.syncDirectory('/');
  const store = new ArchivedStore(disk, seed);
  const random = new Random(seed).fork('points');
  const points: CrashPoint[] = [];
  if (isTimed) {
    const chance = random.fork('time');
    store.afterCommit = async () => {
      if (!chance.chance(0.2)) return;
      await vi.advanceTimersByTimeAsync(60_000);
      await settled(30);
    };
  }
  await store.open();
  await store.put('first', 'value');
  await store.backup();
  disk.onOperation = ({ number, kind, path }) => {
    if (!path.startsWith('/archive') && !random.chance(0.25)) return;
    points.push({ at: `${number}: ${kind} ${path}`, device: disk.copy(), acknowledged: store.last });
  };
  await store.write(40, 16_000);
  await store.db.checkpoint();
  await store.write(25, 16_000);
  await store.db.checkpoint();
  await store.write(5, 16_000);
  await store.close();
  await store.open();
  await store.write(10, 16_000);
  await store.db.checkpoint();
  await store.close();
  disk.onOperation = null;
  const elsewhere = points.filter(({ at }) => !at.includes(' /archive'));
  const kept = new Set(elsewhere.sort(() => random.fraction() - 0.5).slice(0, ELSEWHERE));
  return { store, points: points.filter((point) => point.at.includes(' /archive') || kept.has(point)) };
}

afterEach(() => {
  vi.useRealTimers();
});

describe(`a crash at any operation (seed ${SEED})`, () => {
  it.each([
    ['when they are full', false],
    ['when a time has passed', true],
  ])(
    'leaves nothing out of the archive, which gets segments %s, and a second one while it is made up for neither',
    async (_, isTimed) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
      const { store, points } = await run(SEED, isTimed);
      vi.useRealTimers();
      const { disk: last } = store;
      const early = last.files().filter((path) => path.startsWith(ARCHIVE) && last.contentOf(path).length < 40 * 1024);
      if (isTimed) expect(early.length).toBeGreaterThan(5);
      const random = new Random(SEED);
      expect(points.filter(({ at }) => at.includes(' /archive')).length).toBeGreaterThan(50);
      for (const [i, { at, device, acknowledged }] of points.entries()) {
        const seed = SEED + i;
        let disk = device.afterCrash(random.pick([dropAll, keepAll, keepSome(seed)]));
        const what = `seed ${SEED}, crash before ${at}`;
        if (random.chance(0.3)) disk = await crashedAgain(disk, random);
        const db = await engineOn(disk, STORE, SMALL);
        const content = await contentOf(db);
        expect([...store.states.values()], what).toContain(content);
        await db.close();
        expect(
          disk.files().filter((path) => path.startsWith(`${STORE}-wal`)),
          what,
        ).toEqual([]);
        const all = await restored(disk);
        expect(all.timestamp, what).toBeGreaterThanOrEqual(acknowledged);
        expect(all.content === content, what).toBe(true);
        const commits = [...store.states].filter(([timestamp]) => timestamp >= 2 && timestamp <= acknowledged);
        const [until, wanted] = random.pick(commits);
        expect((await restored(disk, until)).content === wanted, `${what}, until ${until}`).toBe(true);
      }
    },
    180_000,
  );
});

/** Opens and closes the store, and the power goes before some operation of that. */
async function crashedAgain(disk: SimulatedDevice, random: Random): Promise<SimulatedDevice> {
  const trial = disk.copy();
  await engineOn(trial, STORE, SMALL).then((db) => db.close());
  const second = disk.copy();
  second.crashAt = second.operations + 1 + random.below(Math.max(1, trial.operations - disk.operations));
  await engineOn(second, STORE, SMALL)
    .then((db) => db.close())
    .catch(() => undefined);
  return second.afterCrash(random.pick([dropAll, keepAll]));
}

async function restored(
  disk: SimulatedDevice,
  until?: number,
): Promise<{ readonly content: string; readonly timestamp: number }> {
  const copy = disk.copy();
  const blueprint = blueprintOn(copy, { ...SMALL, archive: undefined });
  const { timestamp } = await blueprint.restore({ backup: BACKUP, archive: ARCHIVE, path: RESTORED, until });
  const db = await blueprint.open(RESTORED);
  const content = await contentOf(db);
  await db.close();
  return { content, timestamp };
}
