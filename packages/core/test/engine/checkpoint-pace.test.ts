/** How a checkpoint makes way for others, on a clock that the test sets. */
import { describe, expect, it } from 'vitest';
import type { CheckpointProgress } from '../../src/contracts/pages.js';
import { CheckpointPace } from '../../src/engine/checkpoint-pace.js';
import type { Clock } from '../../src/engine/pace.js';

/** A checkpoint of batches that take 4 ms each, the last 1 of these for syncing, and what goes on beside it. */
class Rig implements Clock {
  time = 1000;
  pageReads = 50;
  logged = 0;
  syncs = 0;
  rested = 0;
  isWanted = false;
  /** Others go on meanwhile. */
  onSleep: (ms: number) => void = () => {
    this.pageReads++;
  };
  readonly pace: CheckpointPace;

  constructor(dutyCycle: number, due = { logBytes: 1e9, intervalMs: 1e9 }) {
    this.pace = new CheckpointPace(
      dutyCycle,
      due,
      () => this,
      () => this.isWanted,
      this,
    );
  }

  now(): number {
    return this.time;
  }

  async sleep(ms: number): Promise<void> {
    this.time += ms;
    this.rested += ms;
    this.onSleep(ms);
  }

  async batch(written: number, takesMs = 3, told: Partial<CheckpointProgress> = {}): Promise<void> {
    this.time += takesMs;
    await this.pace.advanced({ ...told, written }, async () => {
      this.syncs++;
      this.time += 1;
    });
  }
}

describe('a checkpoint', () => {
  it.each([0.5, 0.25, 0.1])('takes %d of the time while others read, and syncs before it rests', async (dutyCycle) => {
    const rig = new Rig(dutyCycle);
    for (let batch = 1; batch <= 100; batch++) {
      rig.pageReads++;
      await rig.batch(batch / 101);
    }
    expect(rig.syncs).toBe(100);
    expect(400 / (rig.time - 1000)).toBeCloseTo(dutyCycle, 6);
  });

  it('makes way for commits as for reads', async () => {
    const rig = new Rig(0.25);
    rig.logged += 100;
    await rig.batch(0.5);
    expect([rig.syncs, rig.rested]).toEqual([1, 12]);
  });

  it('neither syncs nor rests while nobody else uses the device', async () => {
    const rig = new Rig(0.25);
    for (let batch = 1; batch <= 10; batch++) await rig.batch(batch / 11);
    expect([rig.syncs, rig.rested]).toEqual([0, 0]);
    rig.pageReads++;
    await rig.batch(0.95);
    expect([rig.syncs, rig.rested]).toEqual([1, 12]);
  });

  it('takes rests together that are shorter than a timer is exact', async () => {
    const rig = new Rig(0.8);
    rig.time += 1000; // As long as this is not part of a batch, it is not counted.
    const pace = new CheckpointPace(
      0.8,
      { logBytes: 1e9, intervalMs: 1e9 },
      () => rig,
      () => false,
      rig,
    );
    const sleeps: number[] = [];
    rig.onSleep = (ms) => void sleeps.push(ms);
    for (let batch = 1; batch <= 8; batch++) {
      rig.pageReads++;
      rig.time += 2;
      await pace.advanced({ written: 0.5 }, async () => {});
    }
    expect(sleeps).toEqual([1, 1, 1, 1]);
  });

  it('does not rest when it is late for the next one, by log or by time, and stops resting when it comes to be', async () => {
    const byLog = new Rig(0.1, { logBytes: 1000, intervalMs: 1e9 });
    byLog.logged = 400;
    await byLog.batch(0.3);
    expect([byLog.syncs, byLog.rested]).toEqual([0, 0]);
    byLog.logged = 450;
    byLog.onSleep = () => {
      byLog.logged += 60;
    };
    await byLog.batch(0.5, 99);
    expect(byLog.rested).toBe(20);

    const byTime = new Rig(0.1, { logBytes: 1e9, intervalMs: 100 });
    byTime.pageReads++;
    await byTime.batch(0.5, 19);
    expect(byTime.rested).toBe(40);
    byTime.pageReads++;
    await byTime.batch(0.55);
    expect(byTime.rested).toBe(40);
  });

  it('brings out what it can in pieces when it is late, and does not rest, but does neither for those who wait for it, nor alone', async () => {
    const rig = new Rig(0.1, { logBytes: 1000, intervalMs: 1e9 });
    rig.logged = 400;
    await rig.batch(0.3, 3, { inPieces: true });
    expect([rig.syncs, rig.rested]).toEqual([1, 0]);
    await rig.batch(0.3, 3, { inPieces: false });
    expect([rig.syncs, rig.rested]).toEqual([1, 0]);
    rig.isWanted = true;
    await rig.batch(0.3, 3, { inPieces: true });
    expect([rig.syncs, rig.rested]).toEqual([1, 0]);
    rig.isWanted = false;
    await rig.batch(0.3, 1000, { inPieces: true });
    expect([rig.syncs, rig.rested]).toEqual([1, 0]);
  });

  it.each([
    [0.25, 1, 0.25],
    [0.1, 3, 0.3],
    [0.25, 2, 0.5],
    [0.25, 9, 0.5], // half of the time is the most
    [0.8, 2, 0.8], // unless it is given more
  ])('with a duty cycle of %d and %d times the haste takes %d of the time', async (dutyCycle, haste, share) => {
    const rig = new Rig(dutyCycle);
    for (let batch = 1; batch <= 100; batch++) {
      rig.pageReads++;
      await rig.batch(batch / 101, 3, { haste, inPieces: true });
    }
    expect(400 / (rig.time - 1000)).toBeCloseTo(share, 2);
  });

  it('rests no longer than half a second after others used the device, and not for the sake of a program that kept it waiting', async () => {
    const rig = new Rig(0.01);
    rig.onSleep = () => {};
    rig.pageReads++;
    await rig.batch(0.5, 100);
    expect(rig.rested).toBe(500);
    await rig.batch(0.6, 100);
    expect([rig.syncs, rig.rested]).toEqual([1, 500]);
    const waiting = new Rig(0.01);
    waiting.pageReads++;
    await waiting.batch(0.5, 60_000);
    expect(waiting.rested).toBe(1000);
  });

  it('does not take itself to be alone where the device has kept others waiting as well as itself', async () => {
    const rig = new Rig(0.5);
    rig.pageReads++;
    await rig.batch(0.1);
    rig.onSleep = () => {};
    await rig.batch(0.2, 300);
    await rig.batch(0.3);
    expect(rig.syncs).toBe(3);
  });

  it('goes on at once when somebody waits for it', async () => {
    const rig = new Rig(0.01);
    rig.onSleep = () => {
      rig.isWanted = true;
    };
    rig.pageReads++;
    await rig.batch(0.5, 100);
    expect(rig.rested).toBe(20);
    rig.pageReads++;
    await rig.batch(0.6);
    expect([rig.syncs, rig.rested]).toEqual([1, 20]);
  });

  it('ends with what syncing says', async () => {
    const rig = new Rig(0.25);
    rig.pageReads++;
    const failing = rig.pace.advanced({ written: 0.5 }, () => Promise.reject(new Error('the device is gone')));
    await expect(failing).rejects.toThrow('the device is gone');
  });
});
