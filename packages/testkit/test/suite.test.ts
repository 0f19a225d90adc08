import { afterEach, describe, expect, it, vi } from 'vitest';
import { BrokenClause, brokenClauses, runSuite, type Suite, type TestRunner } from '../src/index.js';

interface Counter {
  value: number;
  add(by: number): void;
}

const suite: Suite<Counter, 'negative'> = {
  name: 'counter',
  clauses: [
    {
      id: 'adds',
      rules: ['K1'],
      says: 'adds what it is given',
      check(counter) {
        counter.add(2);
        expect(counter.value).toBe(2);
      },
    },
    {
      id: 'goes-below-zero',
      says: 'goes below zero',
      needs: ['negative'],
      async check(counter) {
        counter.add(-1);
        expect(counter.value).toBe(-1);
      },
    },
  ],
};

function counter(add: (value: number, by: number) => number): { create(): Counter } {
  return {
    create: () => ({
      value: 0,
      add(by) {
        this.value = add(this.value, by);
      },
    }),
  };
}

describe('a suite', () => {
  it('finds nothing in a plugin that keeps its contract', async () => {
    const sound = counter((value, by) => value + by);
    expect(await brokenClauses(suite, sound, { negative: true })).toEqual([]);
  });

  it('names clause, rule and sentence of what is broken, and goes on', async () => {
    const stuck = counter((value) => value);
    const broken = await brokenClauses(suite, stuck, { negative: true });
    expect(broken.map(({ id }) => id)).toEqual(['adds', 'goes-below-zero']);
    expect(broken[0]).toBeInstanceOf(BrokenClause);
    expect(broken[0]?.message).toMatch(/^\[counter: adds, rule K1\] It adds what it is given\. expected \+0 to be 2/);
  });

  it('leaves out what the plugin does not promise', async () => {
    const unsigned = counter((value, by) => Math.max(0, value + by));
    expect(await brokenClauses(suite, unsigned, {})).toEqual([]);
    expect((await brokenClauses(suite, unsigned, { negative: true })).map(({ id }) => id)).toEqual(['goes-below-zero']);
  });

  it('registers each clause with a runner, and skips by name', async () => {
    const registered: { name: string; skipped: boolean; body: () => void | Promise<void> }[] = [];
    const it = Object.assign(
      (name: string, body: () => void | Promise<void>) => registered.push({ name, body, skipped: false }),
      { skip: (name: string, body: () => void) => registered.push({ name, body, skipped: true }) },
    );
    const runner: TestRunner = { describe: (_, body) => body(), it };
    const disposed: number[] = [];
    const factory = {
      ...counter((value, by) => value + by),
      dispose: ({ value }: Counter) => void disposed.push(value),
    };
    runSuite(suite, runner, factory, {});
    expect(registered.map(({ name, skipped }) => [name, skipped])).toEqual([
      ['adds what it is given [adds, K1]', false],
      ['goes below zero [goes-below-zero] (needs: negative)', true],
    ]);
    await registered[0]?.body();
    expect(disposed).toEqual([2]);
  });
});

describe('a suite that is misused', () => {
  const sound = counter((value, by) => value + by);
  const runner: TestRunner = { describe: (_, body) => body(), it: Object.assign(() => {}, { skip: () => {} }) };

  it('refuses a capability that no clause needs, as one that is misspelt', async () => {
    const misspelt = { negatives: true } as object;
    const message = "A manifest of the counter suite has no 'negatives'; it has: negative.";
    await expect(brokenClauses(suite, sound, misspelt)).rejects.toThrow(message);
    expect(() => runSuite(suite, runner, sound, misspelt)).toThrow(message);
  });

  it('refuses the id of no clause', async () => {
    const ids = new Set(['adds', 'add']);
    await expect(brokenClauses(suite, sound, {}, ids)).rejects.toThrow(/^The id of a clause is add; it must be one of/);
  });
});

describe('what is done around a clause', () => {
  const stuck = counter((value) => value);
  const dispose = () => Promise.reject(new Error('It is in use.'));
  afterEach(() => void vi.useRealTimers());

  it('does not hide that the clause was broken when it fails as well', async () => {
    const [broken] = await brokenClauses(suite, { ...stuck, dispose }, {});
    expect(broken?.id).toBe('adds');
    expect(broken?.message).toMatch(/expected \+0 to be 2.* Then dispose\(\) has failed: It is in use\./s);
  });

  it('is told when it fails alone', async () => {
    const sound = counter((value, by) => value + by);
    await expect(brokenClauses(suite, { ...sound, dispose }, {})).rejects.toThrow('It is in use.');
    const create = () => Promise.reject(new Error('There is no room.'));
    const [broken] = await brokenClauses(suite, { create }, {});
    expect(broken?.message).toMatch(/There is no room\./);
  });

  it.each(['create', 'dispose'] as const)('hangs, and is told: %s', async (name) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const never = () => new Promise<never>(() => {});
    const told = brokenClauses(suite, { ...stuck, [name]: never }, {});
    await vi.advanceTimersByTimeAsync(60_000);
    const [broken] = await told;
    expect(broken?.message).toMatch(/Nothing has come of it in 30 s\./);
  });
});
