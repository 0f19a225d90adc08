/** The checker of histories is tested by histories: with every anomaly, by hand and at random, and without any. */
import { describe, expect, it } from 'vitest';
import {
  type AnomalyKind,
  allowedBy,
  type CheckOptions,
  findAnomalies,
  forbiddenBy,
  HistoryError,
  INITIAL_TAG,
  type Interval,
  Random,
  type RecordedTransaction,
  type TransactionHistory,
} from '../src/index.js';
import { append, history, range, read, simulatedHistory, tag, transaction, wildHistory } from './histories.js';
import { MUTATIONS } from './history-mutations.js';
import { isExplained } from './history-oracle.js';

const SEED = Number(process.env.HISTORY_SEED ?? Date.now() % 2 ** 31);
const [X, Y, Z] = [1, 2, 3];
/** In real time. */
const STRONG: CheckOptions = { realTime: 'snapshot' };
const STRICT: CheckOptions = { realTime: 'serializable' };
const [ONE, TWO, THREE] = [tag(1), tag(2), tag(3)];

function kindsIn(given: TransactionHistory, options?: CheckOptions): AnomalyKind[] {
  return findAnomalies(given, options).anomalies.map(({ kind }) => kind);
}

/** With the time between asking and the end of beginnings and ends. */
function at(began: Interval, ended: Interval, given: RecordedTransaction): RecordedTransaction {
  return { ...given, began, ended };
}

const aborted = (given: RecordedTransaction): RecordedTransaction => ({ ...given, outcome: 'aborted' });
const unknown = (given: RecordedTransaction): RecordedTransaction => ({ ...given, outcome: 'unknown' });

describe('the smallest history with each anomaly', () => {
  const minimal: readonly (readonly [string, AnomalyKind, TransactionHistory])[] = [
    [
      'each of two overwrites the other: G0',
      'G0',
      history(
        transaction(1, append(X, ONE), append(Y, tag(2, 1), tag(1, 1))),
        transaction(2, append(X, ONE, TWO), append(Y, tag(2, 1))),
      ),
    ],
    [
      'a write of an aborted transaction is read: G1a',
      'G1a',
      history(aborted(transaction(1, append(X, ONE))), transaction(2, read(X, ONE))),
    ],
    [
      'a write of an aborted transaction is built upon: G1a',
      'G1a',
      history(aborted(transaction(1, append(X, ONE))), transaction(2, append(X, ONE, TWO))),
    ],
    [
      'a write is read that was undone before the commit: G1a',
      'G1a',
      history(
        transaction(1, { type: 'savepoint', name: 0 }, append(X, ONE), { type: 'rollback', to: 0 }),
        transaction(2, range(X, Y, [X, [ONE]])),
      ),
    ],
    [
      'a deletion that was aborted is seen: G1a',
      'G1a',
      {
        initial: [X],
        transactions: [
          aborted(transaction(1, { type: 'delete', key: X, tag: ONE, list: [INITIAL_TAG] })),
          transaction(2, range(X, Y)),
        ],
      },
    ],
    [
      'a write is read that its transaction replaced: G1b',
      'G1b',
      history(transaction(1, append(X, ONE), append(X, ONE, tag(1, 1))), transaction(2, read(X, ONE))),
    ],
    [
      'each of two reads what the other wrote: G1c',
      'G1c',
      history(transaction(1, append(X, ONE), read(Y, TWO)), transaction(2, append(Y, TWO), read(X, ONE))),
    ],
    [
      'two replace the same version: lost update',
      'lost-update',
      history(
        transaction(3, append(X, THREE)),
        transaction(1, read(X, THREE), append(X, THREE, ONE)),
        transaction(2, read(X, THREE), append(X, THREE, TWO)),
      ),
    ],
    [
      'two write a key that neither has found: lost update',
      'lost-update',
      history(transaction(1, read(X), append(X, ONE)), transaction(2, read(X), append(X, TWO))),
    ],
    [
      'one changes what another deletes: lost update',
      'lost-update',
      {
        initial: [X],
        transactions: [
          transaction(1, { type: 'delete', key: X, tag: ONE, list: [INITIAL_TAG] }),
          transaction(2, append(X, INITIAL_TAG, TWO)),
        ],
      },
    ],
    [
      'half of a transaction is seen: G-single',
      'G-single',
      history(transaction(1, append(X, ONE), append(Y, tag(1, 1))), transaction(2, read(X, ONE), read(Y))),
    ],
    [
      'a key changes between two reads of it: G-single',
      'G-single',
      history(transaction(1, append(X, ONE)), transaction(2, read(X), read(X, ONE))),
    ],
    [
      'half of a transaction is seen by a range, which lacks what it inserted: G-single',
      'G-single',
      history(transaction(1, append(X, ONE), append(Y, tag(1, 1))), transaction(2, range(X, Z, [X, [ONE]]))),
    ],
    [
      'a deletion is seen by half: G-single',
      'G-single',
      {
        initial: [X, Y],
        transactions: [
          transaction(
            1,
            { type: 'delete', key: X, tag: ONE, list: [INITIAL_TAG] },
            { type: 'delete', key: Y, tag: tag(1, 1), list: [INITIAL_TAG] },
          ),
          transaction(2, range(X, Y, [Y, [INITIAL_TAG]])),
        ],
      },
    ],
    [
      'two see two writes in opposite orders: long fork',
      'G-nonadjacent',
      history(
        transaction(1, append(X, ONE)),
        transaction(2, append(Y, TWO)),
        transaction(3, read(X, ONE), read(Y)),
        transaction(4, read(Y, TWO), read(X)),
      ),
    ],
    [
      'each of two changes what the other has read: write skew',
      'G2-item',
      history(transaction(1, read(X), read(Y), append(X, ONE)), transaction(2, read(X), read(Y), append(Y, TWO))),
    ],
    [
      'three in a circle change what the next one has read: write skew',
      'G2-item',
      history(
        transaction(1, read(X), append(Y, ONE)),
        transaction(2, read(Y), append(Z, TWO)),
        transaction(3, read(Z), append(X, THREE)),
      ),
    ],
    [
      'each of two deletes what the other has found in a range: write skew',
      'G2-item',
      {
        initial: [X, Y],
        transactions: [
          transaction(1, range(X, Y, [X, [INITIAL_TAG]], [Y, [INITIAL_TAG]]), {
            type: 'delete',
            key: X,
            tag: ONE,
            list: [INITIAL_TAG],
          }),
          transaction(2, range(X, Y, [Y, [INITIAL_TAG]], [X, [INITIAL_TAG]]), {
            type: 'delete',
            key: Y,
            tag: TWO,
            list: [INITIAL_TAG],
          }),
        ],
      },
    ],
    [
      'each of two inserts within the range that the other has read: write skew with a phantom',
      'G2',
      history(transaction(1, range(X, Z), append(X, ONE)), transaction(2, range(X, Z), append(Y, TWO))),
    ],
    [
      'one inserts within a range that another has read, which changes what the first has read: write skew with a phantom',
      'G2',
      history(transaction(1, range(X, Y), append(Z, ONE)), transaction(2, read(Z), append(Y, TWO))),
    ],
    [
      'a read-only transaction sees that of two, one came before the other (Fekete, O’Neil and O’Neil, SIGMOD Record 2004): write skew',
      'G2-item',
      history(
        transaction(1, read(X), read(Y), append(X, ONE)),
        transaction(2, read(Y), append(Y, TWO)),
        transaction(3, read(X), read(Y, TWO)),
      ),
    ],
    [
      'a transaction does not see its own write: internal',
      'internal',
      history(transaction(1, append(X, ONE), read(X))),
    ],
    [
      'a transaction does not find its own write in a range: internal',
      'internal',
      history(transaction(1, append(X, ONE), range(X, Y))),
    ],
    [
      'a transaction sees what it has undone: internal',
      'internal',
      history(
        transaction(1, { type: 'savepoint', name: 7 }, append(X, ONE), { type: 'rollback', to: 7 }, read(X, ONE)),
      ),
    ],
    ['a value that nobody wrote is read: garbage', 'garbage', history(transaction(1, read(X, TWO)))],
    [
      'a list has lost its beginning: garbage',
      'garbage',
      history(transaction(1, append(X, ONE)), transaction(2, append(X, ONE, TWO)), transaction(3, read(X, TWO))),
    ],
    [
      'a list has another beginning: garbage',
      'garbage',
      history(
        transaction(1, append(X, ONE)),
        transaction(2, append(X, ONE, TWO)),
        transaction(3, append(Y, THREE), read(X, THREE, TWO)),
      ),
    ],
    [
      'the value of another key is read: garbage',
      'garbage',
      history(transaction(1, append(X, ONE), append(Y, tag(1, 1))), transaction(2, read(Y, ONE))),
    ],
    [
      'a key is gone that nobody deleted: garbage',
      'garbage',
      { initial: [X], transactions: [transaction(1, read(X))] },
    ],
    [
      'a range is out of order: garbage',
      'garbage',
      history(
        transaction(1, append(X, ONE), append(Y, tag(1, 1)), append(Z, tag(1, 2))),
        transaction(2, range(X, Z, [X, [ONE]], [Z, [tag(1, 2)]], [Y, [tag(1, 1)]])),
      ),
    ],
    [
      'a range is out of bounds: garbage',
      'garbage',
      history(transaction(1, append(Z, ONE)), transaction(2, range(X, Y, [Z, [ONE]]))),
    ],
  ];

  it.each(minimal)('%s', (_, kind, given) => {
    expect(kindsIn(given)).toEqual([kind]);
    // As a file has it, and in another order.
    const copy = JSON.parse(JSON.stringify(given)) as TransactionHistory;
    expect(kindsIn({ ...copy, transactions: [...copy.transactions].reverse() })).toEqual([kind]);
  });

  it('who reads what its transaction replaced depends on that transaction', () => {
    const given = history(
      transaction(1, append(X, ONE), append(X, ONE, tag(1, 1)), append(Y, tag(1, 2))),
      transaction(2, read(X, ONE), read(Y)),
    );
    expect(kindsIn(given)).toEqual(['G1b', 'G-single']);
  });

  it('of a longer cycle with one anti-dependency and a shorter one with two, the first is told', () => {
    const [a, b, c] = [4, 5, 6];
    const given = history(
      transaction(1, append(X, ONE)),
      transaction(2, append(Y, TWO)),
      transaction(3, read(X, ONE), read(Y), read(c, tag(6))),
      transaction(4, read(Y, TWO), read(X), append(a, tag(4))),
      transaction(5, read(a, tag(4)), append(b, tag(5))),
      transaction(6, read(b, tag(5)), append(c, tag(6))),
    );
    expect(kindsIn(given)).toEqual(['G-single']);
    expect(findAnomalies(given).anomalies[0]?.transactions).toHaveLength(5);
  });

  it('is told so that a person can follow it', () => {
    const skew = history(transaction(1, read(X), read(Y), append(X, ONE)), transaction(2, range(X, Y), append(Y, TWO)));
    const { anomalies } = findAnomalies(skew);
    expect(anomalies.map(({ text }) => text)).toEqual([
      [
        'G2 (write skew with a phantom) of T1.2, T1.1:',
        '  T1.2 reads keys 1 to 2, and key 1 as absent (operation 1 of 2); T1.1 writes key 1 as [1.1:0] (operation 3 of 3): rw by a predicate',
        '  T1.1 reads key 2 as absent (operation 2 of 3); T1.2 writes key 2 as [1.2:0] (operation 2 of 2): rw',
      ].join('\n'),
    ]);
  });
});

describe('what is no anomaly', () => {
  const sound: readonly (readonly [string, TransactionHistory])[] = [
    [
      'an aborted transaction reads anything',
      history(transaction(1, append(X, ONE), append(Y, tag(1, 1))), aborted(transaction(2, read(X, ONE), read(Y)))),
    ],
    [
      'a transaction reads what it writes, undoes and writes again',
      history(
        transaction(
          1,
          append(X, ONE),
          { type: 'savepoint', name: 0 },
          append(X, ONE, tag(1, 1)),
          { type: 'rollback', to: 0 },
          read(X, ONE),
          append(X, ONE, tag(1, 2)),
        ),
        transaction(2, read(X, ONE, tag(1, 2))),
      ),
    ],
    [
      'a transaction deletes, and undoes that',
      {
        initial: [X],
        transactions: [
          transaction(
            1,
            { type: 'savepoint', name: 0 },
            { type: 'delete', key: X, tag: ONE, list: [INITIAL_TAG] },
            range(X, Y),
            { type: 'rollback', to: 0 },
            read(X, INITIAL_TAG),
          ),
          transaction(2, append(X, INITIAL_TAG, TWO)),
        ],
      },
    ],
    [
      'an unknown outcome that nobody has seen',
      history(unknown(transaction(1, append(X, ONE))), transaction(2, read(X), append(X, TWO))),
    ],
    [
      'an unknown outcome that was seen',
      history(unknown(transaction(1, append(X, ONE))), transaction(2, read(X, ONE), append(X, ONE, TWO))),
    ],
    [
      'a range that others have written beside',
      history(transaction(1, range(2, 4), append(9, ONE)), transaction(2, range(8, 8), append(5, TWO))),
    ],
  ];
  it.each(sound)('%s', (_, given) => expect(kindsIn(given)).toEqual([]));

  it('one transaction on real time, with times that overlap', () => {
    const given = history(
      at([1, 2], [5, 6], transaction(1, append(X, ONE))),
      at([3, 4], [7, 8], transaction(2, read(X))),
    );
    expect(kindsIn(given, STRONG)).toEqual([]);
  });
});

describe('outcomes that nobody knows', () => {
  it('count as soon as they are seen, with what these have seen in turn', () => {
    // T1 was seen by T2, which was seen by T3: half of T1.
    const given = history(
      unknown(transaction(1, append(X, ONE), append(Y, tag(1, 1)))),
      unknown(transaction(2, read(X, ONE), read(Y), append(Z, TWO))),
      transaction(3, read(Z, TWO)),
    );
    const report = findAnomalies(given);
    expect(report.anomalies.map(({ kind }) => kind)).toEqual(['G-single']);
    expect(report.transactions).toBe(3);
  });

  it('count when they have deleted what is not found', () => {
    const given: TransactionHistory = {
      initial: [X, Y],
      transactions: [
        unknown(
          transaction(
            1,
            { type: 'delete', key: X, tag: ONE, list: [INITIAL_TAG] },
            { type: 'delete', key: Y, tag: tag(1, 1), list: [INITIAL_TAG] },
          ),
        ),
        transaction(2, range(X, X), read(Y, INITIAL_TAG)),
      ],
    };
    expect(kindsIn(given)).toEqual(['G-single']);
  });
});

describe('real time', () => {
  it('a read that does not see what had been committed before: G-single', () => {
    const given = history(
      at([1, 2], [3, 4], transaction(1, append(X, ONE))),
      at([5, 6], [7, 8], transaction(2, read(X))),
    );
    expect(kindsIn(given)).toEqual([]);
    const { anomalies } = findAnomalies(given, STRONG);
    expect(anomalies.map(({ kind, realTime }) => [kind, realTime])).toEqual([['G-single', true]]);
    expect(anomalies[0]?.text).toContain(
      'T1.1 began between 1 and 2, and ended between 3 and 4, and T1.2 began between 5 and 6, and ended between 7 and 8: real time',
    );
  });

  it('a read of what was written only later: G1c', () => {
    const given = history(
      at([5, 6], [7, 8], transaction(1, append(X, ONE))),
      at([1, 2], [3, 4], transaction(2, read(X, ONE))),
    );
    expect(kindsIn(given, STRONG)).toEqual(['G1c']);
  });

  it('a snapshot sees a commit that was asked for after it had been taken: G1c (interference, G-SIa)', () => {
    const given = history(
      at([3, 4], [7, 8], transaction(1, append(X, ONE))),
      at([1, 2], [9, 10], transaction(2, read(X, ONE))),
    );
    expect(kindsIn(given, STRONG)).toEqual(['G1c']);
    // One before the other, it could have been.
    expect(kindsIn(given, STRICT)).toEqual([]);
  });

  it('an outcome that nobody knows ends at any time', () => {
    const written = at([1, 2], [3, null], unknown(transaction(1, append(X, ONE))));
    const given = history(
      written,
      at([5, 6], [7, 8], transaction(2, read(X))),
      at([9, 10], [11, 12], transaction(3, read(X, ONE))),
    );
    expect(kindsIn(given, STRONG)).toEqual([]);
  });

  it('needs times, in order', () => {
    expect(() => findAnomalies(history(transaction(1)), STRONG)).toThrow(HistoryError);
    const given = history(at([1, 3], [2, 4], transaction(1)));
    expect(() => findAnomalies(given, STRONG)).toThrow('T1.1 has times out of order');
  });
});

it('a history that no recorder makes is refused', () => {
  const given: readonly (readonly [TransactionHistory, string])[] = [
    [history(transaction(1, append(X, ONE)), transaction(1, read(X))), 'T1.1 is there twice'],
    [history(transaction(1, append(X, ONE), append(Y, ONE))), '1.1:0 was written twice'],
    [history(transaction(1, append(X, TWO))), 'T1.1 has written what is not its own: operation 1'],
    [history(transaction(1, { type: 'delete', key: X, tag: ONE, list: [TWO] })), 'deletes 1, which was not there'],
    [history(transaction(1, { type: 'rollback', to: 3 })), 'goes back to a savepoint that it has not made'],
  ];
  for (const [wrong, message] of given) expect(() => findAnomalies(wrong)).toThrow(message);
});

it('levels allow what they allow', () => {
  const all = (level: Parameters<typeof allowedBy>[0]): AnomalyKind[] => [...allowedBy(level)].sort();
  expect(all('serializable')).toEqual([]);
  expect(all('snapshot')).toEqual(['G2', 'G2-item']);
  expect(all('read-committed')).toEqual(['G-nonadjacent', 'G-single', 'G2', 'G2-item', 'lost-update']);
});

describe(`random histories (HISTORY_SEED=${SEED})`, () => {
  for (const isTimed of [false, true]) {
    it(`small ones are explained by an order of their transactions just if nothing is found${isTimed ? ', in real time' : ''}`, () => {
      const counts = { serializable: 0, snapshot: 0, neither: 0 };
      for (let round = 0; round < 3000; round++) {
        const given = wildHistory(new Random(SEED + round));
        const message = `HISTORY_SEED=${SEED + round}: ${JSON.stringify(given)}`;
        const findsNothing = (level: 'snapshot' | 'serializable'): boolean =>
          forbiddenBy(level, findAnomalies(given, isTimed ? { realTime: level } : {})).length === 0;
        const serializable = isExplained(given, 'serializable', isTimed);
        const snapshot = isExplained(given, 'snapshot', isTimed);
        expect(findsNothing('serializable'), message).toBe(serializable);
        expect(findsNothing('snapshot'), message).toBe(snapshot);
        if (serializable) counts.serializable++;
        else if (snapshot) counts.snapshot++;
        else counts.neither++;
      }
      for (const [name, count] of Object.entries(counts)) expect(count, name).toBeGreaterThan(isTimed ? 1 : 5);
    });
  }

  it('nothing is found where all happens one after another', () => {
    for (let round = 0; round < 100; round++) {
      const random = new Random(SEED + round);
      const given = simulatedHistory(random, { transactions: 200, keys: random.between(1, 30), open: 1 });
      const shuffled = { ...given, transactions: random.shuffle([...given.transactions]) };
      expect(findAnomalies(shuffled, STRONG).anomalies, `HISTORY_SEED=${SEED + round}`).toEqual([]);
    }
  });

  it('under snapshot isolation write skew is found, and nothing else', () => {
    const found = new Set<AnomalyKind>();
    for (let round = 0; round < 100; round++) {
      const random = new Random(SEED + round);
      const given = simulatedHistory(random, {
        transactions: 200,
        keys: random.between(2, 30),
        open: random.between(2, 8),
      });
      const report = findAnomalies(given, STRONG);
      expect(forbiddenBy('snapshot', report), `HISTORY_SEED=${SEED + round}`).toEqual([]);
      for (const kind of report.counts.keys()) found.add(kind);
    }
    expect([...found].sort()).toEqual(['G2', 'G2-item']);
  });

  it.each(Object.entries(MUTATIONS))('%s is found where it was put in', (kind, mutation) => {
    for (let round = 0; round < 40; round++) {
      const random = new Random(SEED + round);
      const serial = simulatedHistory(random, { transactions: 100, keys: random.between(4, 12), open: 1 });
      const { counts, anomalies } = findAnomalies(mutation(random, serial));
      const message = `HISTORY_SEED=${SEED + round}: ${JSON.stringify(anomalies, null, 1)}`;
      expect([...counts.keys()], message).toContain(kind);
    }
  });
});

describe('what checking takes', () => {
  /** Things that there are to look at. */
  function sizeOf({ transactions }: TransactionHistory): number {
    let size = 0;
    for (const { operations } of transactions) {
      for (const operation of operations) {
        size += 1;
        if (operation.type === 'range') for (const [, list] of operation.entries) size += 1 + list.length;
        else if (operation.type === 'read' || operation.type === 'append') size += operation.list?.length ?? 0;
      }
    }
    return size;
  }

  it.each([
    ['one after another', 1, false],
    ['under snapshot isolation', 8, false],
    ['without care for one another', 8, true],
  ])('grows as the history does, for transactions %s', (_, open, careless) => {
    const perThing = [2_000, 12_000, 40_000].map((transactions) => {
      const given = simulatedHistory(new Random(SEED), { transactions, keys: 40, open, careless });
      const { steps } = findAnomalies(given, { realTime: 'snapshot' });
      return steps / sizeOf(given);
    });
    for (const steps of perThing) {
      expect(steps, `HISTORY_SEED=${SEED}: ${perThing}`).toBeLessThan(60);
      expect(steps / (perThing[0] as number), `HISTORY_SEED=${SEED}: ${perThing}`).toBeLessThan(1.5);
    }
  });

  it('a cycle of a hundred thousand transactions is found, and told in part', () => {
    const count = 100_000;
    const given = history(
      ...Array.from({ length: count }, (_, i) => {
        const before = i === 0 ? count : i;
        return transaction(i + 1, read(before, tag(before)), append(i + 1, tag(i + 1)));
      }),
    );
    const { anomalies, steps } = findAnomalies(given);
    expect(anomalies.map(({ kind, transactions }) => [kind, transactions.length])).toEqual([['G1c', count]]);
    expect(anomalies[0]?.text.split('\n').at(-1)).toBe('  and 99960 more');
    expect(steps).toBeLessThan(100 * count);
  });
});
