/** The gate while a thread that is in it keeps it open. */
import { Threads } from '@pagewright/core';
import { afterEach, expect, it, vi } from 'vitest';
import { Gate } from '../src/gate.js';

afterEach(() => {
  vi.restoreAllMocks();
});

it('threads are looked at only when who closes the gate has slept often: for moments it is waited without', () => {
  const [threads, memory] = [new SharedArrayBuffer(Threads.bytes()), new SharedArrayBuffer(Gate.bytes())];
  const [closing, working] = [new Threads(threads), new Threads(threads)];
  const gate = new Gate(memory, closing);
  const other = new Gate(memory, working);
  const sweep = vi.spyOn(closing, 'sweep');
  for (const [sleeps, sweeps] of [
    [1, 0],
    [99, 0],
    [101, 1],
  ] as const) {
    let slept = 0;
    sweep.mockClear();
    other.enter();
    vi.spyOn(Atomics, 'wait').mockImplementation(() => {
      if (++slept === sleeps) other.leave();
      return 'timed-out';
    });
    expect(gate.whileClosed(() => 'closed')).toBe('closed');
    expect({ slept, sweeps: sweep.mock.calls.length }).toEqual({ slept: sleeps, sweeps });
  }
});
