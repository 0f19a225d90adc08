/**
 * Loss of power on real files: a writer in a process of its own, cut off at any moment of opening, recovery and work, and
 * what a device may have lost by then. Whatever was acknowledged is there, whole, and the store can be written again.
 * POWER_CUT_ROUNDS and POWER_CUT_SEED choose how long and which.
 */
import {
  describeStandIns,
  FileSystemPowerCuts,
  LayerPowerCuts,
  type PowerCuts,
  powerCutStandIns,
  VolatileLayer,
} from '@pagewright/testkit';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { powerCutFor } from '../soak/power-cut/power-cut-for.js';
import { newHome, storeSubject, type WriterChoice } from '../soak/power-cut/store-subject.js';

const ROUNDS = Number(process.env.POWER_CUT_ROUNDS ?? 2);
const SEED = Number(process.env.POWER_CUT_SEED ?? Date.now() % 2 ** 31);
/** A writer that does not sync must be caught within so many. */
const ROUNDS_TO_BE_CAUGHT = 60;
const SMALL_PAGES: WriterChoice = { commit: 'pipelined', pageSize: 4096 };

beforeAll(() => console.log(describeStandIns()));

const STAND_INS = {
  'preloaded layer': (choice: WriterChoice): PowerCuts => layerCuts(choice),
  'ext4 shut down on a loop device': (choice: WriterChoice): PowerCuts =>
    new FileSystemPowerCuts({ home: newHome(), seed: SEED, subject: storeSubject(() => choice) }),
} as const;

function layerCuts(choice: WriterChoice): LayerPowerCuts {
  const layer = VolatileLayer.build();
  if (layer.missing !== undefined) throw new Error(layer.missing);
  return new LayerPowerCuts({ home: newHome(), seed: SEED, subject: storeSubject(() => choice), layer: layer.is });
}

function skipUnlessPossible(name: keyof typeof STAND_INS, context: TestContext): void {
  const missing = powerCutStandIns().find((standIn) => standIn.name === name)?.missing;
  context.skip(typeof missing === 'string', missing ?? '');
}

for (const name of Object.keys(STAND_INS) as (keyof typeof STAND_INS)[]) {
  describe(`power cut by ${name}`, () => {
    for (const choice of [SMALL_PAGES, { commit: 'autonomous', pageSize: 16384 }] as const) {
      it(`leaves all that was acknowledged, whole, and a store that takes more (${choice.commit}, ${choice.pageSize})`, async (context) => {
        skipUnlessPossible(name, context);
        const cuts = STAND_INS[name](choice);
        let keepFiles = true;
        try {
          for (let round = 0; round < ROUNDS; round++) await cuts.round();
          keepFiles = false;
        } finally {
          await cuts.dispose({ keepFiles });
        }
      }, 3_600_000);
    }

    for (const [fault, forget] of [
      ['does not sync its files', 'sync'],
      ['does not wait for its syncs', 'wait'],
      ['does not sync its directories', 'syncDirectory'],
    ] as const) {
      // A journalling file system syncs names along with files, in most cases.
      if (name !== 'preloaded layer' && forget !== 'sync') continue;
      it(`catches a store that ${fault}`, async (context) => {
        skipUnlessPossible(name, context);
        const cuts = STAND_INS[name]({ ...SMALL_PAGES, forget });
        const rounds = async () => {
          for (let round = 0; round < ROUNDS_TO_BE_CAUGHT; round++) await cuts.round();
        };
        try {
          await expect(rounds()).rejects.toThrow(/acknowledged/);
        } finally {
          await cuts.dispose();
        }
      });
    }
  });
}

describe('a sync that fails on the real path of a file', () => {
  it('turns the store read-only; nothing is acknowledged by a later sync, and what was acknowledged before is there', async (context) => {
    skipUnlessPossible('preloaded layer', context);
    const cuts = layerCuts(SMALL_PAGES);
    let keepFiles = true;
    try {
      // Opening a new store and its first transactions take some twenty syncs; then each group and checkpoint takes its own.
      for (const [sync, opens] of [
        [2, false],
        [40, true],
        [55, true],
      ] as const) {
        const isOver = (lines: readonly string[]) =>
          /^(then|unopened) /.test(lines.at(-1) ?? '') || lines.length > 1000;
        const lines = await cuts.failSync(sync, isOver);
        if (!opens) expect(lines).toEqual(['unopened PW_IO']);
        else {
          expect(lines.filter((line) => line.startsWith('failed'))).toHaveLength(1);
          expect(lines).toContain('state read-only');
          expect(lines).toContain('then PW_READ_ONLY');
        }
      }
      keepFiles = false;
    } finally {
      await cuts.dispose({ keepFiles });
    }
  });
});

describe('power cuts for as long as it is told', () => {
  it('go on by all that this machine has until the time is over, and tell how far they are', async () => {
    const told: string[] = [];
    const { rounds, checked } = await powerCutFor(1e-3, SEED, ({ message }) => told.push(message));
    expect(told[0]).toBe(describeStandIns());
    expect(told).toHaveLength(1 + rounds);
    expect(checked).toBeGreaterThanOrEqual(rounds);
    if (powerCutStandIns().some(({ missing }) => missing === null)) expect(rounds).toBeGreaterThan(0);
  });
});
