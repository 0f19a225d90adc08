import { builtInReplacements } from '@pagewright/bufferpool';
import type { ReplaceableFrames, ReplacementPolicy, ReplacementPolicyType } from '@pagewright/core';
import { describe, expect, it } from 'vitest';
import { brokenClauses, replacementSuite } from '../src/index.js';

const [cooling, clock] = builtInReplacements(0.1) as [ReplacementPolicyType, ReplacementPolicyType];

/** The sound policy, but for what the fault does with it. */
function faulty(
  fault: (policy: ReplacementPolicy, frames: ReplaceableFrames) => Partial<ReplacementPolicy>,
  type = cooling,
): ReplacementPolicyType {
  return {
    name: 'faulty',
    attach(frames) {
      const policy = type.attach(frames);
      const sound: ReplacementPolicy = {
        entered: (frame, sizeClass) => policy.entered(frame, sizeClass),
        rewarmed: (frame) => policy.rewarmed(frame),
        left: (frame) => policy.left(frame),
        moved: (from, to) => policy.moved(from, to),
        prepare: () => policy.prepare(),
        victims: (batch) => policy.victims(batch),
      };
      return { ...sound, ...fault(policy, frames) };
    },
  };
}

async function brokenBy(type: ReplacementPolicyType): Promise<string[]> {
  const broken = await brokenClauses(replacementSuite, { create: () => type }, {});
  return broken.map(({ id }) => id);
}

/** The policy sees frames in which every page in memory may leave. */
function blindToBusy(type: ReplacementPolicyType): ReplacementPolicyType {
  return {
    name: 'blind',
    attach(frames) {
      const resident = new Set<number>();
      const policy = type.attach({
        count: frames.count,
        sample: () => frames.sample(),
        cool: (frame) => frames.cool(frame),
        random: () => frames.random(),
        mayLeave: (frame) => resident.has(frame),
      });
      return {
        entered: (frame, sizeClass) => {
          resident.add(frame);
          policy.entered(frame, sizeClass);
        },
        rewarmed: (frame) => policy.rewarmed(frame),
        left: (frame) => {
          resident.delete(frame);
          policy.left(frame);
        },
        moved: (from, to) => {
          resident.delete(from);
          resident.add(to);
          policy.moved(from, to);
        },
        prepare: () => policy.prepare(),
        victims: (batch) => policy.victims(batch),
      };
    },
  };
}

/** First in, first out, by the order in which pages came. */
function arrivalOrder({ forgetsWhatLeft = true } = {}): ReplacementPolicyType {
  return {
    name: 'arrival',
    attach(frames) {
      const queue: number[] = [];
      return {
        entered: (frame) => void queue.push(frame),
        rewarmed() {},
        left: (frame) => void (forgetsWhatLeft && queue.splice(queue.indexOf(frame), 1)),
        moved: (from, to) => void queue.splice(queue.indexOf(from), 1, to),
        prepare() {},
        victims(batch) {
          const ready = queue.filter((frame) => !forgetsWhatLeft || frames.mayLeave(frame)).slice(0, batch.length);
          batch.set(ready);
          return ready.length;
        },
      };
    },
  };
}

describe('the suite for replacement policies', () => {
  it.each([cooling, clock])('finds nothing in $name', async (type) => {
    expect(await brokenBy(type)).toEqual([]);
  });

  it('finds a page that is handed out twice in a batch', async () => {
    const twice = faulty((policy) => ({
      victims(batch) {
        const count = policy.victims(batch);
        if (count > 1) batch[count - 1] = batch[0] as number;
        return count;
      },
    }));
    expect(await brokenBy(twice)).toContain('only-what-may-leave');
  });

  it('finds a policy that hands out more than it was asked for', async () => {
    const generous = faulty((policy) => ({ victims: (batch) => policy.victims(batch) && batch.length + 1 }));
    expect(await brokenBy(generous)).toContain('batch-size');
  });

  it('finds a policy handing out pages that have left', async () => {
    const broken = await brokenBy(arrivalOrder({ forgetsWhatLeft: false }));
    expect(broken).toEqual(expect.arrayContaining(['nothing-in-memory', 'only-what-may-leave', 'forgets-what-left']));
  });

  it.each([cooling, clock])('finds $name deaf to pages that moved', async (type) => {
    expect(await brokenBy(faulty(() => ({ moved() {} }), type))).toContain('follows-moves');
  });

  it('finds a policy that notes a page as cool when it may be in use again', async () => {
    const late = faulty((policy) => {
      const taken: number[] = [];
      return {
        prepare: () => policy.prepare(),
        rewarmed: (frame) => void taken.push(frame),
        victims(batch) {
          const count = policy.victims(batch);
          for (const frame of taken.splice(0)) policy.rewarmed(frame);
          return count;
        },
      };
    });
    expect(await brokenBy(late)).toContain('touched-at-once');
  });

  it.each([cooling, clock])('finds $name deaf to touches', async (type) => {
    expect(await brokenBy(faulty(() => ({ rewarmed() {} }), type))).toContain('spares-the-touched');
  });

  it.each([cooling, clock])('finds a policy handing out pages that may not leave', async (type) => {
    const broken = await brokenBy(blindToBusy(type));
    expect(broken).toEqual(expect.arrayContaining(['only-what-may-leave', 'spares-the-busy', 'nothing-may-leave']));
  });

  it('finds a tail of a large page handed out as a page', async () => {
    const tails = faulty((policy) => ({
      victims(batch) {
        const count = policy.victims(batch);
        for (let at = 0; at < count; at++) batch[at] = (batch[at] as number) | 1;
        return count;
      },
    }));
    expect(await brokenBy(tails)).toContain('large-pages');
  });

  it('finds a policy that looks at the same few frames only', async () => {
    const shortsighted = faulty((_, frames) => ({
      prepare() {},
      victims(batch) {
        if (!frames.mayLeave(0)) return 0;
        batch[0] = 0;
        return 1;
      },
    }));
    expect(await brokenBy(shortsighted)).toEqual(expect.arrayContaining(['comes-to-every-page', 'spares-the-busy']));
  });

  it('finds a policy that forgets what was handed out and stayed', async () => {
    const forgetful = faulty((policy) => {
      const handedOut = new Set<number>();
      return {
        entered: (frame, sizeClass) => {
          handedOut.delete(frame);
          policy.entered(frame, sizeClass);
        },
        victims(batch) {
          const all = new Int32Array(batch.length);
          const fresh = [...all.subarray(0, policy.victims(all))].filter((frame) => !handedOut.has(frame));
          for (const frame of fresh) handedOut.add(frame);
          batch.set(fresh);
          return fresh.length;
        },
      };
    });
    expect(await brokenBy(forgetful)).toContain('stayed-after-all');
  });

  it('finds a policy that goes on looking where there is nothing', async () => {
    const stubborn = faulty((_, frames) => ({
      prepare() {
        for (let tries = 0; tries < 1e6 && frames.sample() < 0; ) tries++;
      },
    }));
    expect(await brokenBy(stubborn)).toContain('nothing-may-leave');
  });

  it('finds a policy that does not care what is used', async () => {
    const broken = await brokenBy(arrivalOrder());
    expect(broken).toEqual(['keeps-what-is-used']);
  });

  it('finds a policy that goes by the number of the frame', async () => {
    const orderly = faulty((_, frames) => ({
      victims(batch) {
        let count = 0;
        for (let frame = 0; frame < frames.count && count < batch.length; frame++)
          if (frames.mayLeave(frame)) batch[count++] = frame;
        return count;
      },
    }));
    expect(await brokenBy(orderly)).toEqual(['spares-the-touched', 'touched-at-once']);
  });

  it('finds a policy that draws random numbers of its own', async () => {
    let draws = 0;
    const own = faulty((policy) => ({
      victims(batch) {
        const count = policy.victims(batch);
        return draws++ % 3 === 0 && count > 1 ? count - 1 : count;
      },
    }));
    expect(await brokenBy(own)).toEqual(['same-choice', 'state-of-its-own']);
  });

  it('finds two stores that share the state of a policy', async () => {
    let shared: ReplacementPolicy | null = null;
    const common: ReplacementPolicyType = {
      name: 'common',
      attach: (frames) => {
        shared = frames.count === 256 ? cooling.attach(frames) : shared;
        return shared as ReplacementPolicy;
      },
    };
    expect(await brokenBy(common)).toContain('state-of-its-own');
  });
});
