import { builtInReplacements } from '@pagewright/bufferpool';
import type { ReplaceableFrames, ReplacementPolicy, ReplacementPolicyType } from '@pagewright/core';
import { describe, expect, it } from 'vitest';
import { brokenClauses, Random, replacementSuite } from '../src/index.js';

const [cooling, clock] = builtInReplacements(0.1) as [ReplacementPolicyType, ReplacementPolicyType];

/** The sound policy, but for what the fault does with it. */
function faulty(
  fault: (policy: ReplacementPolicy, frames: ReplaceableFrames) => Partial<ReplacementPolicy>,
  type = cooling,
): ReplacementPolicyType {
  return {
    name: 'faulty',
    stateBytes: type.stateBytes,
    attach(frames, state) {
      const policy = type.attach(frames, state);
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
    stateBytes: type.stateBytes,
    attach(frames, state) {
      const resident = new Set<number>();
      const all: ReplaceableFrames = {
        count: frames.count,
        sample: () => frames.sample(),
        cool: (frame) => frames.cool(frame),
        random: () => frames.random(),
        mayLeave: (frame) => resident.has(frame),
      };
      const policy = type.attach(all, state);
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
    stateBytes: (frames) => 8 * (frames + 1),
    attach(frames, state) {
      // When a page came, by frame; the last word counts arrivals.
      const arrived = new Float64Array(state);
      return {
        entered(frame) {
          arrived[frame] = ++arrived[frames.count]!;
        },
        rewarmed() {},
        left: (frame) => void (forgetsWhatLeft && arrived.fill(0, frame, frame + 1)),
        moved: (from, to) => void arrived.copyWithin(to, from, from + 1).fill(0, from, from + 1),
        prepare() {},
        victims(batch) {
          const ready = Array.from({ length: frames.count }, (_, frame) => frame)
            .filter((frame) => arrived[frame]! > 0 && (!forgetsWhatLeft || frames.mayLeave(frame)))
            .sort((one, other) => arrived[one]! - arrived[other]!)
            .slice(0, batch.length);
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
    const random = new Random(9);
    const own = faulty((policy) => ({
      victims(batch) {
        const count = policy.victims(batch);
        return count > 1 && random.chance(0.3) ? count - 1 : count;
      },
    }));
    expect(await brokenBy(own)).toEqual(['threads-by-turns', 'attaching-to-state', 'same-choice', 'state-of-its-own']);
  });

  it('finds a scalar that is kept in a field', async () => {
    const inField = faulty((policy, frames) => {
      let hand = 0;
      return {
        prepare() {},
        victims(batch) {
          if (policy.victims(batch) > 0) throw new Error('Nothing was cooled.');
          let count = 0;
          for (let looked = 0; looked < frames.count && count < batch.length; looked++) {
            hand = (hand + 1) % frames.count;
            if (frames.mayLeave(hand)) batch[count++] = hand;
          }
          return count;
        },
      };
    });
    const broken = await brokenBy(inField);
    expect(broken).toEqual(expect.arrayContaining(['threads-by-turns', 'attaching-to-state']));
    expect(broken).not.toContain('same-choice');
  });

  it.each([cooling, clock])('finds $name beginning anew when it is attached', async (type) => {
    const clearing: ReplacementPolicyType = {
      ...type,
      attach(frames, state) {
        new Uint8Array(state).fill(0);
        return type.attach(frames, state);
      },
    };
    expect(await brokenBy(clearing)).toEqual(['attaching-to-state']);
  });

  it.each([cooling, clock])('finds $name working on a copy of its state', async (type) => {
    const copying: ReplacementPolicyType = {
      ...type,
      attach: (frames, state) => type.attach(frames, state.slice(0)),
    };
    expect(await brokenBy(copying)).toEqual(['threads-by-turns', 'attaching-to-state']);
  });

  it.each([Number.NaN, -8, 0.5])('finds a policy that asks for %d bytes for its state', async (bytes) => {
    expect(await brokenBy({ ...cooling, stateBytes: () => bytes })).toContain('state-bytes');
  });

  it('finds a policy that asks for more bytes each time', async () => {
    let asked = 0;
    const growing = { ...cooling, stateBytes: (frames: number) => cooling.stateBytes(frames) + 8 * asked++ };
    expect(await brokenBy(growing)).toEqual(['state-bytes']);
  });

  it('finds two stores that share the state of a policy', async () => {
    let shared: ReplacementPolicy | null = null;
    const common: ReplacementPolicyType = {
      name: 'common',
      stateBytes: cooling.stateBytes,
      attach: (frames, state) => {
        shared = frames.count === 256 ? cooling.attach(frames, state) : shared;
        return shared as ReplacementPolicy;
      },
    };
    expect(await brokenBy(common)).toContain('state-of-its-own');
  });
});
