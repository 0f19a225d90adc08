/** The list of scenarios says the truth: all numbers are there, and each test that it names exists. What waits is listed as skipped. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SCENARIOS } from '../src/index.js';

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const RULES = readFileSync(join(REPOSITORY, 'docs/architecture.md'), 'utf8');

/** The names of tests in a source: what stands in quotes behind `it(`, `test(` and their forms, and what clauses say. */
function testNames(source: string): string[] {
  const calls = source.matchAll(/\b(?:it|test)(?:\.each\([\s\S]*?\))?\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g);
  const clauses = source.matchAll(/\bsays:\s*(['"`])((?:\\.|(?!\1).)*)\1/g);
  const called = source.matchAll(/\bclause\(\s*'[^']*',\s*\[[^\]]*\],\s*(['"`])((?:\\.|(?!\1).)*)\1/g);
  return [...calls, ...clauses, ...called].map(([, , name]) => (name as string).replaceAll("\\'", "'"));
}

describe('the list of scenarios', () => {
  it('has each number from 1 to 41 once, in order', () => {
    expect(SCENARIOS.map(({ number }) => number)).toEqual(Array.from({ length: 41 }, (_, at) => at + 1));
  });

  it('names rules that there are', () => {
    for (const { number, rules } of SCENARIOS) {
      expect(rules.length, `scenario ${number}`).toBeGreaterThan(0);
      for (const rule of rules) expect(RULES, `scenario ${number}`).toContain(`- **${rule}** `);
    }
  });

  it('can tell a test from what is none', () => {
    const source = `it('one', () => 1); test.each([1, 2])("two", f); // it is "three"\n const it2 = call('four');`;
    expect(testNames(source)).toEqual(['one', 'two']);
  });

  for (const { number, goesWrong, state } of SCENARIOS) {
    if ('waitsFor' in state) {
      it(`has a test of scenario ${number}: ${goesWrong}`, ({ skip }) => skip(`waits for ${state.waitsFor}`));
      continue;
    }
    it.each([state, ...(state.also ?? [])])(`has a test of scenario ${number}: ${goesWrong}`, ({ tested, name }) => {
      const path = join(REPOSITORY, tested);
      expect(existsSync(path), tested).toBe(true);
      const named = testNames(readFileSync(path, 'utf8')).filter((one) => one.includes(name));
      expect(named, `tests of ${tested} with '${name}' in their names`).toHaveLength(1);
      expect(named[0]).toMatch(new RegExp(`\\bscenario ${number}\\b`));
    });
    if (state.except === undefined) continue;
    it(`has a test of all of scenario ${number}: ${goesWrong}`, ({ skip }) => skip(state.except));
  }
});
