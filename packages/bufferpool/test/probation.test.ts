/** Pages that a long scan brings leave before others, and not for ever instead of others. */
import { describe, expect, it } from 'vitest';
import { SimulatedFrames } from '../../testkit/src/conformance/replacement-frames.js';
import { builtInReplacements } from '../src/index.js';

const FRAMES = 1000;
const HALF = FRAMES / 2;

describe.each(builtInReplacements().map((type) => [type.name, type] as const))('probation before %s', (_, type) => {
  /** Half of the frames have pages that nobody scans, the rest those of a scan, which came after them. */
  function halves(): SimulatedFrames {
    const frames = new SimulatedFrames(FRAMES, type);
    for (let frame = 0; frame < FRAMES; frame++) frames.enter(frame, 0, frame >= HALF);
    return frames;
  }

  /** So many more pages come, each into a frame that another one has left; the frames. */
  function bring(frames: SimulatedFrames, pages: number, isScanned: boolean): number[] {
    const left: number[] = [];
    while (left.length < pages) {
      const victims = frames.evict(16);
      expect(victims.length).toBeGreaterThan(0);
      for (const frame of victims) frames.enter(frame, 0, isScanned);
      left.push(...victims);
    }
    return left;
  }

  it('has one page leave of all others for sixty-four of a long scan', () => {
    const left = new Set(bring(halves(), 3200, true).filter((frame) => frame < HALF));
    expect(left.size).toBeGreaterThanOrEqual(3200 / 64 - 2);
    expect(left.size).toBeLessThanOrEqual(3200 / 64 + 2);
  });

  it('has nothing of a scan stay that has ended, while other pages come', () => {
    const frames = halves();
    const scanned = new Set(Array.from({ length: HALF }, (_, at) => HALF + at));
    for (const frame of bring(frames, 3 * FRAMES, false)) scanned.delete(frame);
    expect(scanned.size).toBe(0);
  });

  it('takes a touch of a scan for no proof, and any other for one', () => {
    for (const isScanned of [true, false]) {
      const frames = halves();
      while (frames.coolPages().filter((frame) => frame >= HALF).length < 100) frames.prepare();
      const touched = frames.coolPages().filter((frame) => frame >= HALF);
      for (const frame of touched) frames.touch(frame, isScanned);
      const left = new Set(bring(frames, HALF, true));
      const kept = touched.filter((frame) => !left.has(frame)).length;
      if (isScanned) expect(kept).toBeLessThan(touched.length / 4);
      else expect(kept).toBeGreaterThan((3 * touched.length) / 4);
    }
  });

  it('asks for no more in one call where there are more frames', () => {
    const most = [2000, 200_000].map((count) => {
      let asked = 0;
      const ask = <Answer>(answer: Answer): Answer => {
        asked++;
        return answer;
      };
      const frames = { count, sample: () => ask(0), mayLeave: () => ask(true), cool: () => ask(true), random: () => 1 };
      const policy = type.attach(frames, new SharedArrayBuffer(type.stateBytes(count)));
      for (let frame = 0; frame < count; frame++) policy.entered(frame, 0);
      let largest = 0;
      for (let call = 0; call < 20; call++) {
        asked = 0;
        policy.prepare();
        largest = Math.max(largest, asked);
      }
      return largest;
    });
    expect(most[1]).toBeLessThanOrEqual(2 * most[0]!);
  });
});
