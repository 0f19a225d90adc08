/** How it is told that a thread has ended, where the system's answers are in the hands of the test. */
import fs from 'node:fs';
import { Threads } from '@pagewright/core';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Gate } from '../src/gate.js';

/** What is asked of the files of threads. */
const asked = vi.hoisted(() => ({ answer: null as (() => string) | null, exists: true }));

vi.mock('node:fs', async (original) => {
  const actual = await original<typeof import('node:fs')>();
  return {
    ...actual,
    readFileSync: (...given: Parameters<typeof actual.readFileSync>) =>
      asked.answer === null ? actual.readFileSync(...given) : asked.answer(),
    existsSync: (path: string) => (asked.answer === null ? actual.existsSync(path) : asked.exists),
  };
});

function refuse(errno: string): never {
  throw Object.assign(new Error(errno), { code: errno });
}

beforeEach(() => {
  asked.answer = null;
  asked.exists = true;
});

describe.skipIf(!fs.existsSync('/proc/thread-self'))('a thread', () => {
  it('that cannot be looked at, because no file can be opened, is there', () => {
    const memory = new SharedArrayBuffer(Threads.bytes());
    const owner = new Threads(memory);
    const other = new Threads(memory);
    const gate = new Gate(new SharedArrayBuffer(Gate.bytes()), other);
    asked.answer = () => refuse('EMFILE');
    owner.sweep();
    expect(owner.count).toBe(2);
    gate.enter();
    owner.sweep();
    expect(() => owner.assertWhole()).not.toThrow();
  });

  it('that could not be looked at when it came is there when it can be', () => {
    const memory = new SharedArrayBuffer(Threads.bytes());
    const owner = new Threads(memory);
    asked.answer = () => refuse('EMFILE');
    const other = new Threads(memory);
    asked.answer = null;
    owner.sweep();
    expect(owner.count).toBe(2);
    const third = new Threads(memory);
    expect(third.slot).not.toBe(other.slot);
  });

  it('that takes the slot of one that has ended, while others look at that, keeps it and is not taken for lost', () => {
    for (const holds of [false, true]) {
      const memory = new SharedArrayBuffer(Threads.bytes());
      const [owner, second] = [new Threads(memory), new Threads(memory)];
      const ended = new Threads(memory);
      // Each asks three times: for itself, and twice for others. The one that has ended is the last.
      const gone = (): never => refuse('ENOENT');
      const stat = fs.readFileSync('/proc/thread-self/stat', 'latin1');
      const answers = [
        () => stat, // the owner asks for the second,
        () => {
          // and for the one that has ended, whose slot the second frees meanwhile, and a new one takes.
          asked.answer = answers[2]!;
          Atomics.store(owner.words, ended.at('latches'), 0);
          second.sweep();
          asked.answer = null;
          const fresh = new Threads(memory);
          expect(fresh.slot).toBe(ended.slot);
          if (holds) Atomics.store(fresh.words, fresh.at('gate'), 1);
          asked.exists = false;
          asked.answer = gone;
          return gone();
        },
        () => {
          // The second asks for the owner,
          asked.answer = answers[3]!;
          return stat;
        },
        () => {
          asked.exists = false;
          return gone();
        },
      ];
      asked.answer = () => {
        asked.answer = answers[1]!;
        return answers[0]!();
      };
      owner.sweep();
      asked.answer = null;
      asked.exists = true;
      expect(owner.count).toBe(3);
      expect(() => owner.assertWhole()).not.toThrow();
    }
  });
});
