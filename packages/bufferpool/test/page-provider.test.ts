/** How threads and the page provider speak, in one thread. What it does in its own, `tests/page-provider.test.ts` has. */

import { Threads } from '@pagewright/core';
import { expect, it } from 'vitest';
import { provideFrames } from '../src/page-provider-rounds.js';
import { PageProviderSignal } from '../src/page-provider-signal.js';
import { ENOUGH, type Residency } from '../src/residency.js';

function rig() {
  const memory = new SharedArrayBuffer(PageProviderSignal.bytes());
  const threads = new Threads(new SharedArrayBuffer(Threads.bytes()));
  return { threads, provider: new PageProviderSignal(memory), other: new PageProviderSignal(memory) };
}

/** Stands for the frames of a pool: what each batch evicts, and what is to happen before it. */
function frames(batches: readonly (() => number)[], isBelowLowWater: () => boolean): Residency {
  let at = 0;
  const provide = (): number => {
    const batch = batches[at++];
    if (batch === undefined) throw new Error('It evicts once more');
    return batch();
  };
  return {
    provide,
    get isBelowLowWater() {
      return isBelowLowWater();
    },
  } as unknown as Residency;
}

/** Runs a step whenever the provider is about to wait. */
function whenItWaits(provider: PageProviderSignal, step: () => void): PageProviderSignal {
  return new Proxy(provider, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => {
        if (name === 'waitUntilWanted') step();
        return value.apply(target, given);
      };
    },
  });
}

it('is asked for once, by the first that finds too few frames free', () => {
  const { provider, other } = rig();
  let asked = 0;
  provider.onWanted = () => asked++;
  provider.want();
  other.want();
  provider.want();
  expect(asked).toBe(1);
  expect(other.isWanted).toBe(true);
});

it('does not miss that frames were taken before it slept', () => {
  const { threads, provider, other } = rig();
  const looks = [true, false];
  const stop = (): number => {
    other.stop();
    return ENOUGH;
  };
  // The second round is one that nobody wakes it for.
  provideFrames(
    threads,
    frames([() => 9, () => ENOUGH, () => 9, stop], () => looks.shift() ?? false),
    whenItWaits(provider, () => expect(other.sleeps).toBe(false)),
  );
  expect(looks).toEqual([false]);
});

it('waits until somebody takes a frame if nothing can leave, and does not try on and on', () => {
  const { threads, provider, other } = rig();
  const inVain = (): number => 0;
  let round = 0;
  const waits = (): void => {
    expect(other.sleeps).toBe(true);
    if (round++ === 0) other.want();
    else other.stop();
  };
  provideFrames(
    threads,
    frames([inVain, inVain, inVain, inVain], () => true),
    whenItWaits(provider, waits),
  );
  expect(round).toBe(2);
});

it('does not begin if it is stopped before', () => {
  const { threads, provider, other } = rig();
  other.stop();
  provideFrames(
    threads,
    frames([], () => true),
    provider,
  );
  expect(other.gone()).toBe(threads.slot);
});

it('says which slot it had if it has not ended as it should', () => {
  const { provider, other } = rig();
  provider.begin(5);
  expect(other.gone()).toBe(5);
  provider.begin(6);
  provider.end();
  expect(other.gone()).toBe(-1);
});
