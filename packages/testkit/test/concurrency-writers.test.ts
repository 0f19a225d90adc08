/** The clauses about writers that take turns find each fault that was planted in turns, and nothing in sound ones. */
import type { Concurrency, ConcurrencyHost } from '@pagewright/core';
import { Mvcc } from '@pagewright/mvcc';
import { SingleWriter } from '@pagewright/single-writer';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { SharedTurn } from '../../single-writer/src/shared-turn.js';
import { Place, WriterLine } from '../../single-writer/src/writer-line.js';
import {
  brokenClauses,
  type ConcurrencyCapability,
  ConcurrencySubject,
  concurrencySuite,
  type Manifest,
  type NewConcurrency,
} from '../src/index.js';
import { over } from './over.js';

const ALL: Manifest<ConcurrencyCapability> = {
  snapshots: true,
  savepoints: true,
  revocation: true,
  threads: true,
  turns: true,
};
const OF_TURNS = new Set(concurrencySuite.clauses.filter(({ needs }) => needs?.includes('turns')).map(({ id }) => id));

/** Nobody waits long for what a fault keeps from coming. */
const WAITS = { waitMs: 1000, waitSyncMs: 0 };

const sound: NewConcurrency = (limits) => new SingleWriter(new Mvcc(limits), WAITS);

async function brokenBy(create: NewConcurrency, ids?: ReadonlySet<string>): Promise<string[]> {
  const broken = await brokenClauses(concurrencySuite, { create: () => new ConcurrencySubject(create) }, ALL, ids);
  return broken.map(({ id }) => id);
}

/** What is between the turns and the rest is not as it should be. */
function within(change: (mvcc: Mvcc) => Partial<Concurrency>): NewConcurrency {
  return (limits) => {
    const mvcc = new Mvcc(limits);
    return new SingleWriter(over<Concurrency>(mvcc, change(mvcc)), WAITS);
  };
}

/** A method of the parts of turns does something else. */
function patched<Part extends object>(part: { prototype: Part }, changes: Partial<Part>): NewConcurrency {
  return (limits) => {
    for (const [name, change] of Object.entries(changes)) {
      if (!vi.isMockFunction(Reflect.get(part.prototype, name)))
        vi.spyOn(part.prototype, name as never).mockImplementation(change as never);
    }
    return sound(limits);
  };
}

const transaction = WriterLine.prototype.transaction;

describe('the clauses about writers that take turns', () => {
  afterEach(() => vi.restoreAllMocks());

  test('find nothing in sound turns', async () => {
    expect(await brokenBy(sound)).toEqual([]);
  });

  test.each<[string, NewConcurrency, string[]]>([
    [
      'commit whoever has the turn',
      patched(WriterLine, { moment: (step) => step() }),
      ['one-writer', 'writer-of-the-newest', 'one-writer-of-all-threads'],
    ],
    [
      'run a step beside a writer',
      patched(WriterLine, { atOnce: (step) => step() }),
      ['one-writer', 'leaves-the-line'],
    ],
    [
      'let several transactions write',
      patched(WriterLine, { takeNow: () => undefined }),
      ['one-writer', 'writer-of-the-newest', 'one-writer-of-all-threads'],
    ],
    [
      'keep the turn when a transaction has ended',
      patched(WriterLine, { end: () => undefined }),
      [
        'one-writer',
        'writer-of-the-newest',
        'turns-in-order',
        'leaves-the-line',
        'loaded-after-it-was-read',
        'wait-that-is-ended',
        'closes-the-line',
        'one-writer-of-all-threads',
      ],
    ],
    [
      'let transactions begin beside a writer',
      patched(WriterLine, { transaction: (begin) => Promise.resolve(begin()) }),
      ['turns-in-order', 'leaves-the-line', 'wait-that-is-ended', 'closes-the-line', 'one-writer-of-all-threads'],
    ],
    [
      'forget who came first',
      patched(WriterLine, {
        async transaction(this: WriterLine, begin, signal) {
          await new Promise((resolve) => setImmediate(resolve));
          return transaction.call(this, begin, signal) as never;
        },
      }),
      ['turns-in-order'],
    ],
    [
      'wait on when the signal is aborted',
      patched(WriterLine, {
        transaction(this: WriterLine, begin) {
          return transaction.call(this, begin) as never;
        },
      }),
      ['wait-that-is-ended'],
    ],
    [
      'do not look whether what was read was loaded',
      within((mvcc) => ({ begin: (isolation) => mvcc.begin(isolation) })),
      ['loaded-after-it-was-read', 'loaded-in-the-midst'],
    ],
    ['wait for who has left', patched(Place, { leave: () => undefined }), ['leaves-the-line']],
    ['begin transactions when they are closed', patched(WriterLine, { close: () => undefined }), ['closes-the-line']],
    [
      'give the turn to every thread',
      patched(SharedTurn, { take: () => true, ask: () => true }),
      ['one-writer-of-all-threads'],
    ],
    [
      'keep the turn in the thread that has had it',
      patched(SharedTurn, { give: () => undefined }),
      ['one-writer-of-all-threads'],
    ],
    [
      'leave the turn to a thread that has ended',
      onHost((host) => ({
        pages: over(host.pages, { threads: over(host.pages.threads, { isPresent: () => true }) }),
      })),
      ['turn-of-an-ended-thread'],
    ],
    ['write upon what is past', within(() => ({ visible: 0 })), ['writer-of-the-newest', 'one-writer-of-all-threads']],
  ])('find turns that %s', async (_, faulty, clauses) => {
    const broken = await brokenBy(faulty, OF_TURNS);
    expect(broken).toEqual([...OF_TURNS].filter((id) => clauses.includes(id)));
  });
});

function onHost(change: (host: ConcurrencyHost) => Partial<ConcurrencyHost>): NewConcurrency {
  return (limits) => {
    const writer = sound(limits);
    return over<Concurrency>(writer, {
      start: (host, timestamp) => writer.start(over(host, change(host)), timestamp),
      attach: (host, handle) => writer.attach(over(host, change(host)), handle),
    });
  };
}
