/** The line of those who write, alone: in which order they come, how long they bear it, and what is left when they go. Time is the test's own. */
import { getEventListeners } from 'node:events';
import { SharedLatch, Threads } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import { codeOf } from '@pagewright/testkit/rig';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SharedTurn } from '../src/shared-turn.js';
import { WriterLine } from '../src/writer-line.js';

const SEED = Number(process.env.WRITER_LINE_SEED ?? 1);
const WAITS = { waitMs: 100, waitSyncMs: 0 };
/** Where time is that of the machine, which may stand still for a while. */
const LONG = { waitMs: 100_000, waitSyncMs: 0 };

/** What has become of a promise so far. */
function outcomeOf(promise: Promise<unknown>): { is: unknown } {
  const outcome = { is: 'waits' as unknown };
  promise.then(
    () => {
      outcome.is = 'has it';
    },
    (error: { code?: unknown }) => {
      outcome.is = error.code ?? error;
    },
  );
  return outcome;
}

const settle = async (): Promise<void> => {
  for (let times = 0; times < 20; times++) await Promise.resolve();
};

describe('the patience of those who wait', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('ends when one and the same transaction has not ended for so long, and another one waits as long anew', async () => {
    const line = new WriterLine(WAITS);
    const [first, second] = [{}, {}];
    line.takeNow(first);
    const waits = outcomeOf(line.transaction(() => second));
    const behind = outcomeOf(line.transaction(() => ({})));
    const place = line.place();
    const change = outcomeOf(place.run(() => undefined));
    await vi.advanceTimersByTimeAsync(90);
    expect([waits.is, behind.is, change.is]).toEqual(['waits', 'waits', 'waits']);
    line.end(first);
    await settle();
    expect([waits.is, behind.is, change.is]).toEqual(['has it', 'waits', 'waits']);
    await vi.advanceTimersByTimeAsync(90);
    const late = outcomeOf(line.transaction(() => ({})));
    expect([behind.is, change.is]).toEqual(['waits', 'waits']);
    await vi.advanceTimersByTimeAsync(15);
    expect([behind.is, change.is, late.is]).toEqual(['PW_WRITER_BUSY', 'PW_WRITER_BUSY', 'waits']);
    await vi.advanceTimersByTimeAsync(90);
    expect(late.is).toBe('PW_WRITER_BUSY');
    const last = outcomeOf(line.transaction(() => ({})));
    line.end(second);
    await settle();
    expect(last.is).toBe('has it');
    // Nobody waits any more, and nothing keeps the process alive.
    expect(vi.getTimerCount()).toBe(0);
  });

  test('begins when a change is ready: until then it waits for itself', async () => {
    const line = new WriterLine(WAITS);
    const place = line.place();
    const behind = outcomeOf(line.transaction(() => ({})));
    await vi.advanceTimersByTimeAsync(1000);
    expect(behind.is).toBe('waits');
    const change = outcomeOf(place.run(() => undefined));
    await settle();
    expect([change.is, behind.is]).toEqual(['has it', 'has it']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('a step that fails, and a transaction that does not begin, let the next one have the turn', async () => {
  const line = new WriterLine(LONG);
  const fails = (): never => {
    throw new RangeError('as the test wants');
  };
  const outcomes = [line.place().run(fails), line.transaction(fails), line.transaction(() => ({}))].map(outcomeOf);
  await settle();
  expect(outcomes.map(({ is }) => is)).toEqual([expect.any(RangeError), expect.any(RangeError), 'has it']);
  expect(codeOf(() => line.moment(() => undefined))).toBe('PW_WRITER_BUSY');
});

describe('a signal', () => {
  test('ends the wait of a transaction, wherever it stands in line, and those behind it come in its place', async () => {
    const line = new WriterLine(LONG);
    const controllers = Array.from({ length: 4 }, () => new AbortController());
    const holder = {};
    line.takeNow(holder);
    const begun: number[] = [];
    const begins = controllers.map(({ signal }, number) => {
      const transaction = {};
      const begin = () => {
        begun.push(number);
        return transaction;
      };
      return outcomeOf(line.transaction(begin, signal).then(() => line.end(transaction)));
    });
    const reasons = ['the first', 'one between'].map((text) => new Error(text));
    controllers[0]!.abort(reasons[0]);
    controllers[2]!.abort(reasons[1]);
    await settle();
    expect(begins.map(({ is }) => is)).toEqual([reasons[0], 'waits', reasons[1], 'waits']);
    line.end(holder);
    await settle();
    expect(begun).toEqual([1, 3]);
    const late = outcomeOf(line.transaction(() => ({}), controllers[0]!.signal));
    await settle();
    expect(late.is).toBe(reasons[0]);
    line.moment(() => undefined);
  });

  test('of many that wait has one listener, and none when none waits', async () => {
    const line = new WriterLine(LONG);
    const { signal } = new AbortController();
    const holder = {};
    line.takeNow(holder);
    const waiting = Array.from({ length: 20 }, () => {
      const transaction = {};
      return line.transaction(() => transaction, signal).then(() => line.end(transaction));
    });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    line.end(holder);
    await Promise.all(waiting);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('that is aborted when the transaction has its turn changes nothing of that', async () => {
    const line = new WriterLine(LONG);
    const controller = new AbortController();
    const transaction = {};
    const has = outcomeOf(line.transaction(() => transaction, controller.signal));
    controller.abort();
    await settle();
    expect(has.is).toBe('has it');
    expect(codeOf(() => line.moment(() => undefined))).toBe('PW_WRITER_BUSY');
    line.end(transaction);
    line.moment(() => undefined);
  });
});

describe('several threads', () => {
  const memory = () => ({
    turn: new SharedArrayBuffer(SharedTurn.bytes()),
    latch: new SharedArrayBuffer(SharedLatch.bytes()),
    threads: new SharedArrayBuffer(Threads.bytes()),
  });

  interface ThreadOfTest {
    readonly line: WriterLine;
    readonly threads: Threads;
  }

  /** Lines of so many threads, as each has it. */
  function lines(count: number, { turn, latch, threads } = memory()): ThreadOfTest[] {
    return Array.from({ length: count }, () => {
      const own = new Threads(threads);
      const line = new WriterLine(LONG);
      line.share({ turn, latch }, own);
      return { line, threads: own };
    });
  }

  test('keep the process alive while one of them waits, also if others had the turn there since it was asked for', async () => {
    vi.useFakeTimers();
    try {
      const [first, second] = lines(2) as [ThreadOfTest, ThreadOfTest];
      const [holder, one, two, later] = [{}, {}, {}, {}];
      first.line.takeNow(holder);
      void second.line.transaction(() => one);
      expect(vi.getTimerCount()).toBe(1);
      first.line.end(holder);
      // Before the thread has heard of it, somebody else asks there, and finds that it has the turn.
      const has = outcomeOf(second.line.transaction(() => two));
      second.line.end(one);
      await Promise.resolve();
      await Promise.resolve();
      expect(has.is).toBe('has it');
      expect(vi.getTimerCount()).toBe(0);
      second.line.end(two);
      first.line.takeNow(later);
      const last = outcomeOf(second.line.transaction(() => ({})));
      expect(vi.getTimerCount(), 'Nothing keeps the thread alive for who waits.').toBe(1);
      second.line.leave();
      first.line.leave();
      await settle();
      expect(last.is).toBe('PW_CLOSED');
    } finally {
      vi.useRealTimers();
    }
  });

  test('tell a turn for a single commit, which ends by itself, from one that is kept', () => {
    const shared = memory();
    const [first, second] = lines(2, shared) as [ThreadOfTest, ThreadOfTest];
    const seen = new SharedTurn(shared.turn, shared.latch, second.threads);
    first.line.moment(() => expect([seen.owner < 0, seen.isKept]).toEqual([true, false]));
    first.line.takeNow({});
    expect([seen.owner > 0, seen.isKept]).toEqual([true, true]);
  });

  test('one that was refused has not asked: the turn does not come to it', () => {
    const [first, second, third] = lines(3).map(({ line }) => line) as [WriterLine, WriterLine, WriterLine];
    const writer = {};
    first.takeNow(writer);
    expect(codeOf(() => second.moment(() => undefined))).toBe('PW_WRITER_BUSY');
    first.end(writer);
    third.moment(() => undefined);
  });

  test('one that takes the slot of another has not asked for it, nor has it the turn of that one', async () => {
    const shared = memory();
    const [first, second] = lines(2, shared) as [ThreadOfTest, ThreadOfTest];
    const writer = {};
    first.line.takeNow(writer);
    void second.line.transaction(() => ({})).catch(() => undefined);
    second.threads.leave();
    const [third, last] = lines(2, shared) as [ThreadOfTest, ThreadOfTest];
    expect(third.threads.slot).toBe(second.threads.slot);
    // It asks before the other one, and has its turn before.
    const order: string[] = [];
    const asks = ['third', 'last'].map(async (name) => {
      const transaction = {};
      const { line } = name === 'third' ? third : last;
      await line.transaction(() => transaction);
      order.push(name);
      line.end(transaction);
    });
    first.line.end(writer);
    await Promise.all(asks);
    expect(order).toEqual(['third', 'last']);
    third.line.takeNow(writer);
    third.threads.leave();
    const [fourth] = lines(1, shared) as [ThreadOfTest];
    expect(fourth.threads.slot).toBe(third.threads.slot);
    expect(codeOf(() => fourth.line.moment(() => undefined))).toBe('none');
  });

  test('pass over one that has asked and ended: the turn is free at once', () => {
    const shared = memory();
    const [first, second, third] = lines(3, shared) as [ThreadOfTest, ThreadOfTest, ThreadOfTest];
    const writer = {};
    first.line.takeNow(writer);
    void second.line.transaction(() => ({})).catch(() => undefined);
    second.threads.leave();
    first.line.end(writer);
    expect(new SharedTurn(shared.turn, shared.latch, third.threads).owner).toBe(0);
    expect(third.line.atOnce(() => writer)).toBe(writer);
    expect(first.line.atOnce(() => writer)).toBe(writer);
  });

  test('never write side by side, whatever they do, and all have their turn', async () => {
    for (let seed = SEED; seed < SEED + 30; seed++) {
      const random = new Random(seed);
      const all = lines(3);
      let writing = 0;
      let done = 0;
      const alone = (step: () => void): void => {
        expect(++writing, `seed ${seed}`).toBe(1);
        step();
        writing--;
        done++;
      };
      const act = async ({ line }: (typeof all)[0]): Promise<void> => {
        const kind = random.below(5);
        if (kind === 0) {
          const place = line.place();
          for (let times = random.below(3); times > 0; times--) await Promise.resolve();
          if (random.chance(0.8)) await place.run(() => alone(() => {}));
          else done++;
          place.leave();
        } else if (kind === 1) {
          if (codeOf(() => line.moment(() => alone(() => {}))) !== 'none') done++;
        } else if (kind === 2) {
          const step = (): object => {
            alone(() => {});
            return line;
          };
          if (line.atOnce(step) === null) done++;
        } else {
          const transaction = {};
          if (kind === 3) await line.transaction(() => transaction);
          else if (codeOf(() => line.takeNow(transaction)) !== 'none') {
            done++;
            return;
          }
          expect(++writing, `seed ${seed}`).toBe(1);
          for (let times = random.below(3); times > 0; times--) await new Promise((resolve) => setImmediate(resolve));
          writing--;
          line.end(transaction);
          done++;
        }
      };
      const acts: Promise<void>[] = [];
      for (let step = 0; step < 60; step++) {
        acts.push(act(random.pick(all)));
        if (random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(acts);
      expect([writing, done], `seed ${seed}`).toEqual([0, 60]);
      for (const { line } of all) line.moment(() => undefined);
    }
  });
});
