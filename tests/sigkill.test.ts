/**
 * Real processes, real files: a writer is killed again and again, at any moment, and in the midst of what is delicate. What it
 * acknowledged is there, nothing by half, and the next one can go on. SIGKILL_ROUNDS and SIGKILL_SEED choose how long and which.
 */
import { ProcessKills, Random } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { type KillingPoint, newHome, storeSubject, type WriterChoice } from '../soak/power-cut/store-subject.js';

const ROUNDS = Number(process.env.SIGKILL_ROUNDS ?? 5);
const SEED = Number(process.env.SIGKILL_SEED ?? Date.now() % 2 ** 31);
const SMALL_PAGES: WriterChoice = { commit: 'pipelined', pageSize: 4096 };
/** The three interludes have passed by then. */
const LINES_TO_MEET_EVERYTHING = 130;

async function withKills(kills: ProcessKills, run: () => Promise<void>): Promise<void> {
  let keepFiles = true;
  try {
    await run();
    keepFiles = false;
  } finally {
    await kills.dispose({ keepFiles });
  }
}

const CHOICES: readonly WriterChoice[] = [
  SMALL_PAGES,
  { commit: 'sync', pageSize: 16384 },
  { ...SMALL_PAGES, durability: 'relaxed' },
];

for (const choice of CHOICES) {
  const { commit, pageSize, durability = 'durable' } = choice;
  it(`after each of ${ROUNDS} kills every acknowledged transaction is there and none is there by half (${commit}, ${pageSize}, ${durability})`, async () => {
    const kills = new ProcessKills({ home: newHome(), seed: SEED, subject: storeSubject(() => choice) });
    await withKills(kills, async () => {
      for (let round = 0; round < ROUNDS; round++) await kills.round();
    });
  }, 3_600_000);
}

/** Each with the number of operations from which the one is chosen at which it is killed. */
const PLACES: readonly (readonly [what: string, most: number, point: Omit<KillingPoint, 'number'>])[] = [
  ['while it opens or recovers', 30, { during: 'opening' }],
  ['while it writes in opening or recovery', 8, { during: 'opening', operation: 'write', begun: true }],
  ['during a checkpoint', 12, { during: 'checkpoint' }],
  ['while an index is cleared', 2, { during: 'clear' }],
  ['while an index is dropped and made anew', 4, { during: 'drop' }],
  ['while a file grows', 6, { operation: 'allocate', begun: true }],
  ['while a segment of the log is used again', 2, { operation: 'rename', begun: true }],
];

for (const [what, most, point] of PLACES) {
  it(`loses nothing when it is killed ${what}`, async () => {
    const random = new Random(SEED).fork(what);
    let number = 1; // there is one at least
    const subject = storeSubject(() => ({ ...SMALL_PAGES, killAt: { ...point, number } }));
    const kills = new ProcessKills({ home: newHome(), seed: SEED, subject, patience: LINES_TO_MEET_EVERYTHING });
    await withKills(kills, async () => {
      let met = 0;
      for (let round = 0; round < Math.max(2, ROUNDS / 3); round++) {
        const { lines } = await kills.round();
        if (lines.length < LINES_TO_MEET_EVERYTHING) met++;
        number = random.between(1, most);
      }
      expect(met, `seed ${SEED}: never killed ${what}`).toBeGreaterThan(0);
    });
  }, 3_600_000);
}
