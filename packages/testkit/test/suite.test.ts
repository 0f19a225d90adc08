import { describe, expect, it } from 'vitest';
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
