/**
 * What a replacement policy must do, whatever it goes by. A policy that breaks a clause makes the store slower, or stuck, or
 * stops it with an error; it can never make it wrong, because the store checks what it is handed.
 */
import type { ReplacementPolicyType } from '@pagewright/core';
import { Random } from '../random.js';
import { SimulatedFrames } from './replacement-frames.js';
import { type Clause, runSuite, type SubjectFactory, type Suite, type TestRunner } from './suite.js';

const FRAMES = 256;
/** So often a policy may be asked before it comes to a page that may leave. */
const PATIENCE = 64;

type ReplacementClause = Clause<ReplacementPolicyType>;

/** Registers the clauses for replacement policies with a test runner. `create` gives the type that is tested. */
export function replacementConformance(runner: TestRunner, factory: SubjectFactory<ReplacementPolicyType>): void {
  runSuite(replacementSuite, runner, factory, {});
}

const state: readonly ReplacementClause[] = [
  {
    id: 'state-bytes',
    says: 'asks for a whole number of bytes for its state, the same for the same number of frames',
    check(type) {
      for (const frames of [64, FRAMES, 2 ** 20]) {
        const [bytes, again] = [type.stateBytes(frames), type.stateBytes(frames)];
        if (!(Number.isSafeInteger(bytes) && bytes >= 0))
          throw new Error(`For ${frames} frames it wants ${bytes} bytes.`);
        if (bytes !== again) throw new Error(`For ${frames} frames it wants ${bytes} bytes, then ${again}.`);
      }
    },
  },
  {
    id: 'threads-by-turns',
    says: 'chooses through several objects over one state, used by turns, as it does through one',
    check(type) {
      for (const seed of [1, 2, 3]) {
        const one = drive(new SimulatedFrames(FRAMES, type, seed), new Random(seed), 2000);
        const three = new SimulatedFrames(FRAMES, type, seed).attach().attach();
        expectSame(one, drive(three, new Random(seed), 2000), `by three objects, with seed ${seed},`);
      }
    },
  },
  {
    id: 'attaching-to-state',
    says: 'goes on as it was when an object is made over a state in use, and the one before is gone',
    check(type) {
      const run = (frames: SimulatedFrames, handOver: () => void): number[] => {
        const random = new Random(4);
        return Array.from({ length: 20 }, () => {
          handOver();
          return drive(frames, random, 100);
        }).flat();
      };
      const one = run(new SimulatedFrames(FRAMES, type, 4), () => {});
      const frames = new SimulatedFrames(FRAMES, type, 4);
      const handedOn = run(frames, () => frames.attach().detach());
      expectSame(one, handedOn, 'handed on from object to object');
    },
  },
];

const handsOut: readonly ReplacementClause[] = [
  {
    id: 'nothing-in-memory',
    says: 'hands out nothing while no page is in memory',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type);
      expectNone(frames.evict());
      frames.enter(7);
      frames.leave(7);
      expectNone(frames.evict());
    },
  },
  {
    id: 'only-what-may-leave',
    rules: ['P1'],
    says: 'hands out only pages that are in memory and may leave, each once in a batch, whatever happens to pages',
    check(type) {
      for (const seed of [1, 2, 3]) drive(new SimulatedFrames(FRAMES, type, seed), new Random(seed), 4000);
    },
  },
  {
    id: 'batch-size',
    says: 'hands out no more than the batch takes',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type).fill();
      for (const most of [1, 2, 31, FRAMES]) frames.evict(most);
    },
  },
  {
    id: 'large-pages',
    says: 'names a page of several frames by its first',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type);
      for (let frame = 0; frame < FRAMES; frame += 4) frames.enter(frame, 2);
      drain(frames);
    },
  },
  {
    id: 'forgets-what-left',
    says: 'forgets a page that has left, by eviction or because it was given up, also while it was cool',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type).fill();
      frames.prepare();
      for (const frame of frames.coolPages()) frames.leave(frame);
      for (let round = 0; round < PATIENCE && frames.residents().length > 0; round++) frames.evict();
      expectNone(frames.evict());
    },
  },
  {
    id: 'follows-moves',
    says: 'knows a page that has moved by its new frame',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type);
      const half = FRAMES / 2;
      for (let frame = 0; frame < half; frame++) frames.enter(frame);
      frames.prepare();
      for (let frame = 0; frame < half; frame++) frames.move(frame, frame + half);
      drain(frames);
    },
  },
  {
    id: 'spares-the-busy',
    says: 'spares a page while it may not leave, also if it became so when it was a candidate already, and comes back to it',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type).fill();
      frames.prepare();
      const candidates = frames.coolPages();
      for (const frame of candidates) frames.setBusy(frame, true);
      for (let round = 0; round < 4; round++) frames.evict();
      for (const frame of candidates) frames.setBusy(frame, false);
      drain(frames);
    },
  },
  {
    id: 'stayed-after-all',
    says: 'hands out again what it handed out and did not leave, because it could not be written',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type).fill();
      for (let round = 0; round < 2 * PATIENCE; round++) {
        frames.prepare();
        frames.victims();
      }
      drain(frames);
    },
  },
];

const progress: readonly ReplacementClause[] = [
  {
    id: 'comes-to-every-page',
    says: 'comes to every page that may leave when it is asked often enough, though all are hot and no other may leave',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type).fill();
      for (let frame = 0; frame < FRAMES; frame++) frames.setBusy(frame, true);
      for (const wanted of [0, 1, 100, FRAMES - 1]) {
        frames.setBusy(wanted, false);
        for (let round = 0; frames.isResident(wanted); round++) {
          if (round === PATIENCE)
            throw new Error(`It was asked ${PATIENCE} times, and did not come to frame ${wanted}.`);
          frames.evict();
        }
      }
    },
  },
  {
    id: 'nothing-may-leave',
    says: 'answers that there is nothing, after bounded work, when no page may leave',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type).fill();
      for (let frame = 0; frame < FRAMES; frame++) frames.setBusy(frame, true);
      for (let round = 0; round < 4; round++) expectNone(frames.evict());
      const candidates = new SimulatedFrames(FRAMES, type).fill();
      candidates.prepare();
      for (let frame = 0; frame < FRAMES; frame++) candidates.setBusy(frame, true);
      for (let round = 0; round < 4; round++) expectNone(candidates.evict());
    },
  },
];

const choice: readonly ReplacementClause[] = [
  {
    id: 'spares-the-touched',
    says: 'does not hand out a page that was touched while it was cool before it has cooled anew',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type).fill();
      for (let round = 0; round < PATIENCE; round++) {
        frames.prepare();
        const touched = frames.coolPages().filter((_, at) => at % 2 === 0);
        for (const frame of touched) frames.touch(frame);
        for (const frame of frames.victims()) {
          if (touched.includes(frame)) throw new Error(`Frame ${frame} was touched just now, and is to leave.`);
          frames.leave(frame);
        }
        frames.fill();
      }
    },
  },
  {
    id: 'touched-at-once',
    says: 'takes a page that is touched before `cool` has returned for one that is in use',
    check(type) {
      const frames = new SimulatedFrames(FRAMES, type).fill();
      frames.touchesAtOnce = true;
      for (let round = 0; round < PATIENCE; round++) frames.prepare();
      // A policy that never cools a page cannot know.
      const taken = frames.cooled > 0 ? frames.victims() : [];
      if (taken.length > 0) throw new Error(`Pages in use are to leave: ${taken.join(', ')}.`);
      frames.touchesAtOnce = false;
      drive(frames, new Random(1), 1000);
    },
  },
  {
    id: 'keeps-what-is-used',
    says: 'keeps pages that are used again and again while others pass through once, better than chance does',
    check(type) {
      const kept = hitsOf(type);
      const byChance = hitsOf(CHANCE);
      if (kept <= byChance)
        throw new Error(`Of the pages in steady use it found ${kept} in memory; a choice by chance finds ${byChance}.`);
    },
  },
  {
    id: 'same-choice',
    says: 'chooses the same when the same happens and the same random numbers are drawn',
    check(type) {
      const run = (): number[] => drive(new SimulatedFrames(FRAMES, type, 5), new Random(5), 2000);
      expectSame(run(), run(), 'the second time');
    },
  },
  {
    id: 'state-of-its-own',
    says: 'keeps nothing in common with another one of its type',
    check(type) {
      const alone = drive(new SimulatedFrames(FRAMES, type, 5), new Random(5), 1000);
      const frames = new SimulatedFrames(FRAMES, type, 5);
      new SimulatedFrames(FRAMES / 2, type, 6).fill().evict();
      const beside = drive(frames, new Random(5), 1000);
      if (alone.join() !== beside.join()) throw new Error('It chose differently when a second store was open.');
    },
  },
];

/** Clauses for what is registered under `REPLACEMENTS`. */
export const replacementSuite: Suite<ReplacementPolicyType> = {
  name: 'replacement policy',
  clauses: [...state, ...handsOut, ...progress, ...choice],
};

function expectNone(victims: readonly number[]): void {
  if (victims.length > 0) throw new Error(`It handed out ${victims.length} pages, the first in frame ${victims[0]}.`);
}

function expectSame(first: readonly number[], second: readonly number[], how: string): void {
  const at = Array.from({ length: Math.max(first.length, second.length) }).findIndex(
    (_, at) => first[at] !== second[at],
  );
  if (at >= 0) throw new Error(`Its choice number ${at} was frame ${first[at]}, and ${how} frame ${second[at]}.`);
}

/** Evicts until nothing is left; says if something stays for good. */
function drain(frames: SimulatedFrames): void {
  for (let round = 0; round < PATIENCE; round++) {
    if (frames.residents().length === 0) return;
    frames.evict();
  }
  const left = frames.residents();
  throw new Error(
    `Asked ${PATIENCE} times, it has not handed out ${left.length} pages, the first in frame ${left[0]}.`,
  );
}

/** All that can happen to pages, at random; what was handed out. */
function drive(frames: SimulatedFrames, random: Random, steps: number): number[] {
  const handedOut: number[] = [];
  const trouble = (step: number, error: unknown): Error =>
    new Error(`Seed ${random.seed}, step ${step}: ${(error as Error).message}`, { cause: error });
  for (let step = 0; step < steps; step++) {
    const frame = random.below(frames.count);
    const what = random.fraction();
    const sizeClass = random.chance(0.1) ? random.between(1, 3) : 0;
    const free = frames.freeRun(sizeClass);
    try {
      if (what < 0.35 && free >= 0) frames.enter(free, sizeClass, random.chance(0.3));
      else if (what < 0.65) frames.touch(frame, random.chance(0.3));
      else if (what < 0.75 && frames.isResident(frame)) frames.setBusy(frame, random.chance(0.4));
      else if (what < 0.8 && frames.isResident(frame)) frames.leave(frame);
      else if (what < 0.85 && frames.isResident(frame)) frames.moveAway(frame);
      else if (what < 0.9) frames.prepare();
      else if (what < 0.92) frames.victims(random.between(1, 8));
      else handedOut.push(...frames.evict(random.between(1, 8)));
    } catch (error) {
      throw trouble(step, error);
    }
  }
  return handedOut;
}

/**
 * A pool of 256 frames; 128 pages in steady use, 4096 that are read once each, in turn. How often a page in steady use was in
 * memory when it was wanted.
 */
function hitsOf(type: ReplacementPolicyType): number {
  const frames = new SimulatedFrames(FRAMES, type);
  const random = new Random(11);
  const frameOf = new Map<number, number>();
  const pageIn: number[] = [];
  let hits = 0;
  const read = (page: number): boolean => {
    const known = frameOf.get(page);
    if (known !== undefined) {
      frames.touch(known);
      return true;
    }
    if (frames.freeRun(0) < 0) {
      for (const frame of frames.evict(8)) frameOf.delete(pageIn[frame] as number);
    }
    const frame = frames.freeRun(0);
    if (frame < 0) throw new Error('No page left a pool in which every page may leave.');
    frames.enter(frame);
    frameOf.set(page, frame);
    pageIn[frame] = page;
    return false;
  };
  for (let passing = 0; passing < 4096; passing++) {
    read(1000 + passing);
    for (let use = 0; use < 4; use++) if (read(random.below(128))) hits++;
  }
  return hits;
}

/** Chooses by chance alone. */
const CHANCE: ReplacementPolicyType = {
  name: 'chance',
  stateBytes: () => 0,
  attach: (frames) => ({
    entered() {},
    rewarmed() {},
    left() {},
    moved() {},
    prepare() {},
    victims(batch) {
      let count = 0;
      for (let tries = 0; tries < 8 * batch.length && count < batch.length; tries++) {
        const frame = frames.random() % frames.count;
        if (frames.mayLeave(frame) && !batch.subarray(0, count).includes(frame)) batch[count++] = frame;
      }
      return count;
    },
  }),
};
