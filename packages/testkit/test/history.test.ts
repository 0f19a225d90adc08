/** What an explorer holds a store against after a crash: which states of it are right, and which are not. */
import { describe, expect, it } from 'vitest';
import { type Content, type Entry, History } from '../src/index.js';

const INDEX = 'index';

function put(step: number): Entry {
  return { step, kind: 'commit', changes: [{ index: INDEX, key: `key ${step}`, label: `value ${step}` }] };
}

/** The store with what these steps have put. */
function storeWith(...steps: number[]): Content {
  return new Map([[INDEX, new Map(steps.map((step) => [`key ${step}`, `value ${step}`]))]]);
}

/** A history whose first entry, which is acknowledged, has made the index. */
function history(): History {
  const made = new History();
  made.settle(made.ask({ step: 0, kind: 'create', index: INDEX }), 'acknowledged');
  return made;
}

/** Which of these states the history lets pass, by the steps that each has. */
function allowed(asked: History, ...states: number[][]): number[][] {
  return states.filter((steps) => asked.mismatch(storeWith(...steps), asked.mark()) === null);
}

const STATES = [[], [1], [2], [3], [1, 2], [1, 3], [2, 3], [1, 2, 3]];

describe('a history allows, of what is not answered,', () => {
  it('only beginnings, where each change goes by all before it', () => {
    const asked = history();
    for (const step of [1, 2, 3]) asked.ask(put(step));
    expect(allowed(asked, ...STATES)).toEqual([[], [1], [1, 2], [1, 2, 3]]);
  });

  it('a transaction without what was on its way when it began', () => {
    const asked = history();
    const first = asked.ask(put(1));
    asked.ask(put(2), first);
    asked.ask(put(3));
    expect(allowed(asked, ...STATES)).toEqual([[], [1], [2], [1, 2], [1, 2, 3]]);
  });

  it('nothing that has seen what was lost', () => {
    const asked = history();
    const first = asked.ask(put(1));
    asked.ask(put(2), first);
    asked.ask(put(3), first + 1);
    expect(allowed(asked, ...STATES)).toEqual([[], [1], [2], [1, 2], [1, 3], [1, 2, 3]]);
  });
});

describe('a history demands', () => {
  it('what was acknowledged, and all that it had seen', () => {
    const asked = history();
    asked.ask(put(1));
    const second = asked.ask(put(2));
    asked.ask(put(3));
    asked.settle(second, 'acknowledged');
    expect(allowed(asked, ...STATES)).toEqual([
      [1, 2],
      [1, 2, 3],
    ]);
    expect(asked.mark()).toEqual({ asked: 4, promised: 3, acknowledged: [] });
  });

  it('an acknowledged transaction, and not what was on its way when it began', () => {
    const asked = history();
    const first = asked.ask(put(1));
    const second = asked.ask(put(2), first);
    asked.settle(second, 'acknowledged');
    expect(allowed(asked, ...STATES)).toEqual([[2], [1, 2]]);
    expect(asked.mismatch(storeWith(1), asked.mark())).toMatch(
      /^Step 2 was acknowledged.*key 2 in index should be value 2/,
    );
    asked.settle(first, 'acknowledged');
    expect(allowed(asked, ...STATES)).toEqual([[1, 2]]);
    expect(asked.mark()).toEqual({ asked: 3, promised: 3, acknowledged: [] });
  });

  it('that what was refused is never seen, and that nothing else depends on it', () => {
    const asked = history();
    asked.settle(asked.ask(put(1)), 'refused');
    asked.ask(put(2));
    expect(allowed(asked, ...STATES)).toEqual([[], [2]]);
  });
});

it('a mark is of its instant: what is answered later is not demanded there', () => {
  const asked = history();
  const first = asked.ask(put(1));
  const mark = asked.mark();
  asked.settle(first, 'acknowledged');
  asked.ask(put(2));
  expect(asked.mismatch(storeWith(), mark)).toBeNull();
  expect(asked.mismatch(storeWith(1), mark)).toBeNull();
  expect(asked.mismatch(storeWith(1, 2), mark)).not.toBeNull();
});

describe('a history of a store in use allows a key', () => {
  const set = (label: string | null): Entry => ({
    step: 1,
    kind: 'commit',
    changes: [{ index: INDEX, key: 'k', label }],
  });
  const labels = (asked: History, mark = asked.mark()) => [...asked.labelsAt(INDEX, 'k', mark)];

  it('what was acknowledged, and what is under way since', () => {
    const asked = history();
    const first = asked.ask(set('a'));
    expect(labels(asked)).toEqual([null, 'a']);
    asked.settle(first, 'acknowledged');
    expect(labels(asked)).toEqual(['a']);
    const second = asked.ask(set(null));
    expect(labels(asked)).toEqual(['a', null]);
    asked.settle(second, 'refused');
    expect(labels(asked)).toEqual(['a']);
    expect(asked.labelsAt('another', 'k', asked.mark())).toEqual(new Set([null]));
  });

  it('nothing that was hidden by what was acknowledged later, whatever became of it', () => {
    const asked = history();
    asked.ask(set('a'));
    asked.settle(asked.ask(set('b')), 'acknowledged');
    expect(labels(asked)).toEqual(['b']);
  });

  it('what a load has put there, and nothing after a clear', () => {
    const asked = history();
    asked.settle(asked.ask(set('a')), 'acknowledged');
    const changes = [{ index: INDEX, key: 'other', label: 'x' }];
    const before = asked.mark();
    asked.settle(asked.ask({ step: 2, kind: 'load', index: INDEX, changes }), 'acknowledged');
    expect([labels(asked), [...asked.labelsAt(INDEX, 'other', asked.mark())]]).toEqual([[null], ['x']]);
    expect(labels(asked, before)).toEqual(['a']);
    asked.settle(asked.ask({ step: 3, kind: 'clear', index: INDEX }), 'acknowledged');
    expect([...asked.labelsAt(INDEX, 'other', asked.mark())]).toEqual([null]);
  });
});
