import { builtInTranslations } from '@pagewright/bufferpool';
import type { NamedFrames, Translation, TranslationType } from '@pagewright/core';
import { describe, expect, it } from 'vitest';
import { brokenClauses, translationSuite } from '../src/index.js';

const [swizzled, hash, array] = builtInTranslations as [TranslationType, TranslationType, TranslationType];

/** The sound translation, but for what the fault does with it. */
function faulty(
  type: TranslationType,
  fault: (translation: Translation, frames: NamedFrames, state: SharedArrayBuffer) => Partial<Translation>,
): TranslationType {
  return {
    ...type,
    attach(frames, state) {
      const translation = type.attach(frames, state);
      const sound: Translation = {
        frameOf: (name) => translation.frameOf(name),
        enter: (frame, unit) => translation.enter(frame, unit),
        leave: (frame) => translation.leave(frame),
        move: (from, to) => translation.move(from, to),
      };
      return { ...sound, ...fault(translation, frames, state) };
    },
  };
}

async function brokenBy(type: TranslationType, ...ids: string[]): Promise<string[]> {
  const some = ids.length === 0 ? undefined : new Set(ids);
  const broken = await brokenClauses(translationSuite, { create: () => type }, {}, some);
  return broken.map(({ id }) => id);
}

describe('the suite for translations', () => {
  it.each(builtInTranslations)('finds nothing in $name', async (type) => {
    expect(await brokenBy(type)).toEqual([]);
  });

  it.each([hash, array])('finds $name deaf to pages that moved', async (type) => {
    const deaf = faulty(type, (_, frames) => ({
      move(from, to) {
        const name = frames.nameOf(from);
        frames.setName(from, 0);
        frames.setName(to, name);
        return name;
      },
    }));
    expect(await brokenBy(deaf)).toContain('whatever-happens');
  });

  it.each([hash, array])('finds $name working on a copy of its state', async (type) => {
    const copying = {
      ...type,
      attach: (frames: NamedFrames, state: SharedArrayBuffer) => type.attach(frames, state.slice(0)),
    };
    const broken = await brokenBy(copying);
    expect(broken).toEqual(expect.arrayContaining(['threads-by-turns', 'attaching-to-state']));
  });

  it.each([hash, array])('finds $name beginning anew when it is attached', async (type) => {
    const clearing: TranslationType = {
      ...type,
      attach(frames, state) {
        new Uint8Array(state).fill(0);
        return type.attach(frames, state);
      },
    };
    expect(await brokenBy(clearing)).toContain('attaching-to-state');
  });

  it('finds a hash table whose gaps cut off what stands behind them', async () => {
    const gaping = faulty(hash, (_, frames, state) => ({
      leave(frame) {
        const slots = new Int32Array(state);
        slots[slots.indexOf(frame + 1)] = 0;
        frames.setName(frame, 0);
      },
    }));
    expect(await brokenBy(gaping)).toContain('whatever-happens');
  });

  it('finds a table that takes the number in a swip for one of its own', async () => {
    const trusting = faulty(array, (_, _frames, state) => ({
      frameOf: (name) => (new Int32Array(state)[name % (state.byteLength / 4)] as number) - 1,
    }));
    expect(await brokenBy(trusting)).toContain('any-number');
  });

  it('finds two pages that are named the same', async () => {
    const careless = faulty(array, (_, frames, state) => ({
      enter(frame, unit) {
        const words = new Int32Array(state);
        const name = Math.max(1, unit % words.length);
        words[name] = frame + 1;
        frames.setName(frame, name);
        return name;
      },
    }));
    expect(await brokenBy(careless)).toContain('every-frame');
  });

  it('finds a table that gives the frame of another page while it changes', async () => {
    // Readers go by the slot alone: what is shifted into it meanwhile is taken for what they look for.
    const byPlace = faulty(array, (translation, _frames, state) => ({
      leave(frame) {
        const words = new Int32Array(state);
        const neighbour = words.findIndex((word, name) => name > 0 && word > 0 && word !== frame + 1);
        const word = words[neighbour] as number;
        words[neighbour] = frame + 1;
        translation.leave(frame);
        words[neighbour] = word;
      },
    }));
    expect(await brokenBy(byPlace)).toEqual(['in-the-midst']);
  });

  it('finds names that are no frames where they are said to be', async () => {
    expect(await brokenBy({ ...hash, namesFrames: true })).toContain('frames-as-names');
    expect(swizzled.namesFrames).toBe(true);
  });

  it.each([Number.NaN, -8, 0.5])('finds a translation that asks for %d bytes for its state', async (bytes) => {
    expect(await brokenBy({ ...swizzled, stateBytes: () => bytes })).toContain('state-bytes');
  });

  it('finds two stores that share the state of a translation', async () => {
    const shared = new SharedArrayBuffer(hash.stateBytes(96, 0));
    const common: TranslationType = { ...hash, attach: (frames) => hash.attach(frames, shared) };
    expect(await brokenBy(common, 'state-of-its-own')).toEqual(['state-of-its-own']);
  });
});
