import { Worker } from 'node:worker_threads';
import { Threads } from '@pagewright/core';
import { expect, it } from 'vitest';
import { Counters, LATCH_WAITS } from '../src/counters.js';
import { FrameTable, VERSION } from '../src/frames.js';
import { Latches } from '../src/latches.js';

function latchesOf(
  frames: FrameTable,
  memory = new SharedArrayBuffer(Threads.bytes()),
  counters = new Counters(new SharedArrayBuffer(Counters.bytes(1)), 0),
): Latches {
  return new Latches(frames, new Threads(memory), counters);
}

it('a version is another after every change, and never one that a reader of an earlier page may hold', () => {
  const frames = new FrameTable(4);
  const latches = latchesOf(frames);
  const seen = new Set<number>();
  for (let change = 0; change < 1000; change++) {
    const version = latches.readVersion(2);
    expect(seen.has(version)).toBe(false);
    seen.add(version);
    latches.latch(2);
    expect(latches.validate(2, version)).toBe(false);
    // The frame gets another page of another size: the version goes on.
    frames.initialize(2, change % 2, 3);
    latches.unlatch(2);
    expect(latches.validate(2, version)).toBe(false);
    expect(latches.upgrade(2, version)).toBe(false);
  }
});

it('the version counts on over the end of its word', () => {
  const frames = new FrameTable(1);
  const latches = latchesOf(frames);
  frames.words[VERSION] = 0x7ffffffc;
  for (let change = 0; change < 4; change++) {
    latches.latch(0);
    latches.unlatch(0);
  }
  expect(latches.isHeld(0)).toBe(false);
  expect(latches.readVersion(0)).toBe((0x7ffffffc + 16) | 0);
});

it('a latch that one thread takes twice is reported, not waited for', () => {
  const latches = latchesOf(new FrameTable(1));
  latches.latch(0);
  expect(() => latches.latch(0)).toThrow(expect.objectContaining({ code: 'PW_INTERNAL' }));
});

it('waits, asleep, for a latch that another thread holds, and is woken when it is given back', async () => {
  const frames = new FrameTable(1);
  const memory = new SharedArrayBuffer(Threads.bytes());
  const latches = latchesOf(frames, memory);
  latches.latch(0);
  // The other thread gives the latch back as `unlatch` does, once this one has said that it waits.
  const other = new Worker(
    `const { workerData: words } = require('node:worker_threads');
     while ((Atomics.load(words, 0) & 2) === 0);
     Atomics.store(words, 2, 7);
     Atomics.exchange(words, 0, 4);
     Atomics.notify(words, 0);`,
    { eval: true, workerData: frames.words },
  );
  const counted = new Counters(new SharedArrayBuffer(Counters.bytes(1)), 0);
  const outsider = latchesOf(frames, memory, counted);
  const version = outsider.readVersion(0);
  expect(version).toBe(4);
  expect(frames.words[2]).toBe(7);
  expect(counted.total(LATCH_WAITS)).toBe(1);
  await other.terminate();
});
