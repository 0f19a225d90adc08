import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, invariant, isPagewrightError, PagewrightError } from '../src/errors.js';
import { thrownBy } from './composition-fakes.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const codes = Object.keys(ERROR_CODES);

/** Codes that are kept for what is not built yet. One that is raised somewhere must leave this list. */
const RESERVED: readonly string[] = [];

/** The sections of `docs/errors.md`, by code, in its order. */
function documented(): Map<string, string> {
  const page = readFileSync(`${root}docs/errors.md`, 'utf8');
  const sections = page.split(/^### /m).slice(1);
  return new Map(
    sections.map((section) => {
      const [code = '', ...text] = section.split('\n');
      return [code, text.join('\n').split(/^## /m)[0]!.trim()];
    }),
  );
}

/** All codes in the sources of all packages, but for where they are declared. Comments do not count. */
function raised(): Set<string> {
  const found = new Set<string>();
  for (const name of readdirSync(`${root}packages`)) {
    for (const file of readdirSync(`${root}packages/${name}/src`, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || (name === 'core' && file === 'errors.ts')) continue;
      const source = readFileSync(`${root}packages/${name}/src/${file}`, 'utf8');
      for (const [, code] of source.matchAll(/'(PW_[A-Z_]+)'/g)) found.add(code!);
    }
  }
  return found;
}

describe('the page on errors', () => {
  test('has one section for each code, in the order of errors.ts', () => {
    const headings = [...readFileSync(`${root}docs/errors.md`, 'utf8').matchAll(/^### (.*)$/gm)].map(
      ([, code]) => code,
    );
    expect(headings).toEqual(codes);
  });

  test.each(codes)('says of %s what it means, when it comes, and what to do', (code) => {
    const section = documented().get(code) ?? '';
    const [meaning, when, cure] = section.split(/\n\n/).map((paragraph) => paragraph.replaceAll('\n', ' '));
    expect(meaning).toBe(ERROR_CODES[code as keyof typeof ERROR_CODES]);
    expect(when).toMatch(/^\*\*When\.\*\* ./);
    expect(cure).toMatch(/^\*\*What to do\.\*\* ./);
  });
});

describe('the codes', () => {
  test('are all raised somewhere, but for those that are reserved', () => {
    const used = raised();
    expect(codes.filter((code) => !used.has(code))).toEqual(RESERVED);
  });

  test('that the sources raise are all declared', () => {
    expect([...raised()].filter((code) => !codes.includes(code))).toEqual([]);
  });
});

describe('PagewrightError', () => {
  test('carries code, details, problems and cause', () => {
    const cause = new Error('disk');
    const problem = { code: 'PW_OPTION_INVALID', path: 'pages.memory', message: 'Too small.' } as const;
    const error = new PagewrightError('PW_CONFIG', 'No.', { cause, details: { path: 'a.pw' }, problems: [problem] });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'PagewrightError',
      code: 'PW_CONFIG',
      message: 'No.',
      details: { path: 'a.pw' },
    });
    expect(error.problems).toEqual([problem]);
    expect(error.cause).toBe(cause);
  });

  test('has empty details and problems, and no cause, if none are given', () => {
    const error = new PagewrightError('PW_IO', 'No.');
    expect([error.details, error.problems, 'cause' in error]).toEqual([{}, [], false]);
  });

  test('is known by its code, also if another copy of the package made it', () => {
    const foreign = Object.assign(new Error('No.'), { code: 'PW_IO' });
    foreign.name = 'PagewrightError';
    expect(isPagewrightError(foreign)).toBe(true);
    expect(isPagewrightError(foreign, 'PW_IO')).toBe(true);
    expect(isPagewrightError(foreign, 'PW_FULL')).toBe(false);
    expect(isPagewrightError(Object.assign(new Error('No.'), { code: 'PW_IO' }))).toBe(false);
    expect(isPagewrightError({ name: 'PagewrightError', code: 'PW_IO' })).toBe(false);
    expect(isPagewrightError(undefined)).toBe(false);
  });

  test('is PW_INTERNAL where an invariant does not hold', () => {
    expect(thrownBy(() => invariant(true, 'One is one'))).toBeUndefined();
    expect(thrownBy(() => invariant(false, 'One is two'))).toMatchObject({ code: 'PW_INTERNAL' });
  });
});
