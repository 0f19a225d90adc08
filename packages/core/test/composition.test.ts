import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compose } from '../src/composition/compose.js';
import { SHARED_TOKENS } from '../src/composition/slots.js';
import { TEARDOWN } from '../src/composition/teardown.js';
import { PagewrightError } from '../src/errors.js';
import { definePlugin, PLUGIN_MARK } from '../src/plugin.js';
import * as tokens from '../src/tokens.js';
import {
  absentIo,
  extension,
  journal,
  journalLog,
  memoryIo,
  policy,
  pool,
  problemLines,
  soundConfig,
  thrownBy,
  tree,
  trie,
  versions,
} from './composition-fakes.js';

/** Composes what the types would not let through. */
function composeUnchecked(config: unknown): unknown {
  return compose(config as Parameters<typeof compose>[0]);
}

/** The lines of the problems with the sound config, changed so. */
function problemsWith(changes: Record<string, unknown>): string[] {
  return problemLines(thrownBy(() => composeUnchecked({ ...soundConfig, ...changes })));
}

/** The message of the only problem with the sound config, changed so. */
function messageWith(changes: Record<string, unknown>): string {
  const { problems } = thrownBy(() => composeUnchecked({ ...soundConfig, ...changes })) as PagewrightError;
  expect(problems).toHaveLength(1);
  return problems[0]!.message;
}

let directory = '';
const workingDirectory = process.cwd();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-'));
  journal.length = 0;
});

afterEach(() => {
  process.chdir(workingDirectory);
  rmSync(directory, { recursive: true });
});

describe('compose', () => {
  test('takes plugins that go together, and sets none of them up', () => {
    const blueprint = compose({
      ...soundConfig,
      indexes: [tree(), trie()],
      plugins: [policy(), extension('@test/idle')],
    });
    expect(blueprint.describe().map(({ path, name }) => `${path} ${name}`)).toEqual([
      'io @test/io-memory',
      'pages @test/pool',
      'indexes[0] @test/index-tree',
      'indexes[1] @test/index-trie',
      'concurrency @test/versions',
      'log @test/log',
      'plugins[0] @test/policy',
      'plugins[1] @test/idle',
    ]);
    expect(journal).toEqual([]);
  });

  test('describes its plugins as data, with the defaults of their options', () => {
    const blueprint = compose({ ...soundConfig, pages: pool({ translation: { kind: 'hash' } }), indexes: trie() });
    const described = blueprint.describe();
    expect(described[1]).toEqual({
      path: 'pages',
      name: '@test/pool',
      kind: 'pages',
      type: null,
      options: { memory: 1024, translation: { kind: 'hash' } },
    });
    expect(described[2]).toEqual({
      path: 'indexes',
      name: '@test/index-trie',
      kind: 'index',
      type: 'trie',
      options: {},
    });
    expect(JSON.parse(JSON.stringify(described))).toEqual(described);
  });

  test('shows options that are not data by name, without failing', () => {
    const circle: Record<string, unknown> = {
      big: 7n,
      not: Number.NaN,
      key: new Uint8Array(2),
      call() {},
      list: [null],
      none: undefined,
    };
    circle.self = circle;
    const odd = definePlugin({ name: '@test/odd', kind: 'extension', contract: 1, options: v.any(), setup() {} });
    const described = compose({ ...soundConfig, plugins: odd(circle) }).describe();
    expect(described.at(-1)?.options).toEqual({
      big: '[7]',
      not: '[NaN]',
      key: '[Uint8Array]',
      call: '[function call]',
      list: [null],
      self: '[circular]',
    });
  });

  test('reports everything that is wrong at once, in the order of the config, and creates no file', () => {
    process.chdir(directory);
    const error = thrownBy(() =>
      composeUnchecked({
        cache: 12,
        io: [memoryIo(), 'posix'],
        pages: [pool({ memory: 'plenty' as never })],
        indexes: [tree(), tree(), pool({ translation: { kind: 'tree' as never } })],
        concurrency: versions,
        plugins: [journalLog({ commit: 3 as never }), extension('@test/needy', { requires: [Symbol('nowhere')] })],
      }),
    );
    expect(error).toBeInstanceOf(PagewrightError);
    expect((error as PagewrightError).code).toBe('PW_CONFIG');
    expect(problemLines(error)).toEqual([
      'PW_CONFIG at cache',
      'PW_CONFIG at pages',
      'PW_PLUGIN_MISSING at log',
      'PW_PLUGIN_INVALID at io[1]',
      'PW_PLUGIN_INVALID at indexes[2]',
      'PW_OPTION_INVALID at indexes[2].translation.kind',
      'PW_PLUGIN_INVALID at concurrency',
      'PW_PLUGIN_INVALID at plugins[0]',
      'PW_OPTION_INVALID at plugins[0].commit',
      'PW_PLUGIN_DUPLICATE at indexes[1]',
      'PW_PLUGIN_MISSING at plugins[1]',
    ]);
    for (const { path, message } of (error as PagewrightError).problems) {
      expect((error as PagewrightError).message).toContain(`  ${path}: ${message}`);
    }
    expect(journal).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('the form of a config', () => {
  test.each([
    undefined,
    null,
    'engine.json',
    3,
    [memoryIo()],
    () => {},
    memoryIo(),
  ])('is that of an object, and not %s', (config) => {
    const error = thrownBy(() => composeUnchecked(config));
    expect(problemLines(error)).toEqual(['PW_CONFIG at (config)']);
    expect((error as PagewrightError).message).toContain('io, pages, indexes, concurrency, log, plugins');
  });

  test('tells once of a plugin that stands in the wrong slot as well as in its own', () => {
    expect(problemsWith({ indexes: [tree(), journalLog({ commit: 'group' })] })).toEqual([
      'PW_PLUGIN_INVALID at indexes[1]',
    ]);
  });

  test('says how one plugin is given options where a list was given that begins like one with options', () => {
    const list = ['@test/pool', 'big', 3];
    const error = thrownBy(() => composeUnchecked({ ...soundConfig, pages: list })) as PagewrightError;
    expect(error.message).toContain('Takes one plugin, not a list: one with options is ["name", { … }], of these two.');
  });

  test('has no keys but its own', () => {
    expect(problemsWith({ index: tree() })).toEqual(['PW_CONFIG at index']);
    expect(problemsWith({ 'page size': 1, constructor: 2 })).toEqual([
      'PW_CONFIG at ["page size"]',
      'PW_CONFIG at constructor',
    ]);
  });

  test.each([
    'io',
    'pages',
    'indexes',
    'concurrency',
    'log',
  ])('lacks nothing without which there is no engine: %s', (key) => {
    expect(problemsWith({ [key]: undefined })).toEqual([`PW_PLUGIN_MISSING at ${key}`]);
  });

  test.each(['io', 'indexes'])('needs at least one plugin where several may stand: %s', (key) => {
    expect(problemsWith({ [key]: [] })).toEqual([`PW_PLUGIN_MISSING at ${key}`]);
  });

  test('may leave out commit policies and extensions, or have none', () => {
    expect(problemsOf({ ...soundConfig, plugins: undefined })).toEqual([]);
    expect(problemsOf({ ...soundConfig, plugins: [] })).toEqual([]);
  });

  test.each(['pages', 'concurrency', 'log'] as const)('has one plugin and no list of them under %s', (key) => {
    expect(problemsWith({ [key]: [soundConfig[key]] })).toEqual([`PW_CONFIG at ${key}`]);
  });
});

describe('what stands in the place of a plugin', () => {
  test.each([null, 7, {}, { name: 'pool' }, new Map()])('is refused if it is not one: %s', (value) => {
    expect(problemsWith({ pages: value })).toEqual(['PW_PLUGIN_INVALID at pages']);
    expect(problemsWith({ indexes: [tree(), value] })).toEqual(['PW_PLUGIN_INVALID at indexes[1]']);
  });

  test('is refused where a list has a hole', () => {
    expect(problemsWith({ indexes: [tree(), undefined] })).toEqual(['PW_PLUGIN_INVALID at indexes[1]']);
    // biome-ignore lint/suspicious/noSparseArray: it is what is tested
    expect(problemsWith({ indexes: [tree(), , trie()] })).toEqual(['PW_PLUGIN_INVALID at indexes[1]']);
  });

  test('is refused with the advice to call it if it is a factory', () => {
    expect(messageWith({ pages: pool })).toContain('Call it: @test/pool');
  });

  test('is refused with a pointer to composeFrom if it is a name', () => {
    expect(messageWith({ pages: '@pagewright/bufferpool' })).toContain('composeFrom');
  });

  test('is refused if it is of another kind, with the slot where it belongs', () => {
    expect(messageWith({ plugins: [pool.definition, trie({})].slice(1) })).toContain('Put it under `indexes`');
    expect(problemsWith({ pages: versions(), concurrency: pool() })).toEqual([
      'PW_PLUGIN_INVALID at pages',
      'PW_PLUGIN_INVALID at concurrency',
    ]);
    expect(problemsWith({ log: policy() })).toEqual(['PW_PLUGIN_INVALID at log']);
  });

  test.each([0, 2])('is refused if it was built for contract %i, whatever else its definition says', (contract) => {
    const other = {
      [PLUGIN_MARK]: 'configured',
      definition: { name: '@test/other', contract, shape: 'new' },
      options: 3,
    };
    expect(problemsWith({ pages: other })).toEqual(['PW_PLUGIN_CONTRACT at pages']);
    expect(messageWith({ pages: other })).toContain(
      contract === 0 ? 'newer release of @test/other' : 'newer release of @pagewright/core',
    );
  });

  test.each([
    ['name', { name: '' }],
    ['kind', { kind: 'cache' }],
    ['kind', { kind: 'toString' }],
    ['contract', { contract: '1' }],
    ['setup', { setup: undefined }],
    ['provides', { provides: 'PAGES' }],
    ['provides', { provides: [tokens.PAGES, undefined] }],
    ['provides', { provides: [] }],
    ['requires', { requires: [7] }],
    ['options', { options: { memory: 'number' } }],
    ['options', { options: { '~standard': { version: 2, validate() {} } } }],
    ['type', { kind: 'index', provides: [tokens.INDEXES] }],
  ])('is refused if its definition has no usable `%s`', (field, change) => {
    const definition = {
      name: '@test/pool',
      kind: 'pages',
      contract: 1,
      provides: [tokens.PAGES],
      setup() {},
      ...change,
    };
    const plugin = { [PLUGIN_MARK]: 'configured', definition, options: undefined };
    const { problems } = thrownBy(() => composeUnchecked({ ...soundConfig, pages: plugin })) as PagewrightError;
    expect(problems.map(({ code, path }) => `${code} at ${path}`)).toContain('PW_PLUGIN_INVALID at pages');
    expect(problems.some(({ message }) => message.includes(`\`${field}\``))).toBe(true);
  });

  test('is refused if it has no definition', () => {
    expect(problemsWith({ pages: { [PLUGIN_MARK]: 'configured' } })).toEqual(['PW_PLUGIN_INVALID at pages']);
  });
});

describe('names', () => {
  test('are used once in an engine', () => {
    expect(problemsWith({ indexes: [tree(), trie(), tree()] })).toEqual(['PW_PLUGIN_DUPLICATE at indexes[2]']);
    expect(problemsWith({ io: [memoryIo(), memoryIo()] })).toEqual(['PW_PLUGIN_DUPLICATE at io[1]']);
  });

  test('of index types are used once in an engine', () => {
    const rival = definePlugin({ ...tree.definition, name: '@acme/tree', kind: 'index', type: 'tree', setup() {} });
    expect(messageWith({ indexes: [tree(), rival()] })).toContain('"tree"');
  });
});

describe('tokens', () => {
  test('of one provider have one', () => {
    const first = Symbol.for('pagewright.test.FIRST');
    expect(
      problemsWith({
        plugins: [extension('@test/a', { provides: [first] }), extension('@test/b', { provides: [first] })],
      }),
    ).toEqual(['PW_PLUGIN_DUPLICATE at plugins[1]']);
    expect(problemsWith({ plugins: [extension('@test/a', { provides: [tokens.LOG as symbol] })] })).toEqual([
      'PW_PLUGIN_DUPLICATE at plugins[0]',
    ]);
    expect(problemsWith({ plugins: [extension('@test/a', { provides: [tokens.IO as symbol] })] })).toEqual([
      'PW_PLUGIN_DUPLICATE at plugins[0]',
    ]);
  });

  test('that may be provided by many are those whose name ends with S, and only those', () => {
    for (const [name, token] of Object.entries(tokens)) {
      const plural = name.endsWith('S') && name !== 'PAGES';
      expect(`${name} ${SHARED_TOKENS.has(token)}`).toBe(`${name} ${plural}`);
    }
    const second = extension('@test/types', { provides: [tokens.INDEXES as symbol, tokens.COMMIT_POLICIES as symbol] });
    expect(problemsOf({ ...soundConfig, plugins: [policy(), second] })).toEqual([]);
  });

  test('of a name that ends with S are not shared for that reason', () => {
    const metrics = Symbol.for('pagewright.test.METRICS');
    expect(
      problemsWith({
        plugins: [extension('@test/a', { provides: [metrics] }), extension('@test/b', { provides: [metrics] })],
      }),
    ).toEqual(['PW_PLUGIN_DUPLICATE at plugins[1]']);
  });

  test('that the engine provides can be required, and not provided', () => {
    expect(problemsOf({ ...soundConfig, plugins: extension('@test/a', { requires: [TEARDOWN as symbol] }) })).toEqual(
      [],
    );
    expect(problemsWith({ plugins: extension('@test/a', { provides: [TEARDOWN as symbol] }) })).toEqual([
      'PW_PLUGIN_DUPLICATE at plugins',
    ]);
  });

  test('that are required must be provided', () => {
    const clock = Symbol('CLOCK');
    expect(messageWith({ plugins: extension('@test/a', { requires: [clock] }) })).toContain(
      '@test/a requires CLOCK, which no plugin provides',
    );
    expect(
      problemsOf({
        ...soundConfig,
        plugins: [extension('@test/a', { requires: [clock] }), extension('@test/b', { provides: [clock] })],
      }),
    ).toEqual([]);
  });

  test('that lack a provider because its place is empty or wrongly filled are not reported beside that', () => {
    const needy = extension('@test/needy', { requires: [tokens.PAGES, tokens.IO, tokens.COMMIT_POLICIES] as symbol[] });
    expect(problemsWith({ pages: undefined, plugins: [needy, 12] })).toEqual([
      'PW_PLUGIN_MISSING at pages',
      'PW_PLUGIN_INVALID at plugins[1]',
    ]);
    expect(problemsWith({ indexes: [tree(), policy()], plugins: [needy] })).toEqual([
      'PW_PLUGIN_INVALID at indexes[1]',
    ]);
  });

  test('of I/O plugins count only if all of them provide them, as one alone will be used', () => {
    const rings = Symbol.for('pagewright.test.RINGS');
    const ringIo = definePlugin({
      name: '@test/io-ring',
      kind: 'io',
      contract: 1,
      provides: [tokens.IO, rings],
      setup() {},
    });
    const needy = extension('@test/needy', { requires: [rings] });
    expect(problemsOf({ ...soundConfig, io: [ringIo()], plugins: needy })).toEqual([]);
    expect(problemsWith({ io: [ringIo(), memoryIo()], plugins: needy })).toEqual(['PW_PLUGIN_MISSING at plugins']);
    expect(messageWith({ io: [ringIo(), memoryIo()], plugins: needy })).toContain('not every plugin under `io`');
    const needyIo = definePlugin({
      name: '@test/io-needy',
      kind: 'io',
      contract: 1,
      provides: [tokens.IO],
      requires: [rings],
      setup() {},
    });
    expect(problemsWith({ io: [ringIo(), needyIo()] })).toEqual(['PW_PLUGIN_MISSING at io[1]']);
  });

  test('cannot be required in a circle', () => {
    const [a, b, c] = [Symbol('A'), Symbol('B'), Symbol('C')];
    const circle = [
      extension('@test/a', { provides: [a], requires: [b] }),
      extension('@test/b', { provides: [b], requires: [c] }),
      extension('@test/c', { provides: [c], requires: [a] }),
    ];
    expect(messageWith({ plugins: circle })).toContain('@test/a → @test/b → @test/c → @test/a');
    expect(problemsOf({ ...soundConfig, plugins: extension('@test/own', { provides: [a], requires: [a] }) })).toEqual(
      [],
    );
    expect(problemsOf({ ...soundConfig, io: [absentIo(), memoryIo()] })).toEqual([]);
  });
});

describe('options', () => {
  test('that a schema does not accept are reported at their paths, all of them', () => {
    const options = { memory: 'much', translation: { kind: 'hash', sizes: [1, 'two'] }, 'page-size': 4 };
    expect(problemsWith({ pages: pool(options as never) })).toEqual([
      'PW_OPTION_INVALID at pages.memory',
      'PW_OPTION_INVALID at pages.translation.sizes[1]',
      'PW_OPTION_INVALID at pages["page-size"]',
    ]);
  });

  test('are reported all, each once, though the schema stops at the first that it does not know', () => {
    const options = { memroy: 1, memory: 'much', pagesize: 4, 'page-size': 4 };
    expect(problemsWith({ pages: pool(options as never) }).sort()).toEqual([
      'PW_OPTION_INVALID at pages.memory',
      'PW_OPTION_INVALID at pages.memroy',
      'PW_OPTION_INVALID at pages.pagesize',
      'PW_OPTION_INVALID at pages["page-size"]',
    ]);
    // `commit` is missed only where it is missing: not again when what is wrong with it has been said.
    expect(problemsWith({ log: journalLog({ commit: 7, a: 1, b: 2 } as never) }).sort()).toEqual([
      'PW_OPTION_INVALID at log.a',
      'PW_OPTION_INVALID at log.b',
      'PW_OPTION_INVALID at log.commit',
    ]);
  });

  test('carry what the schema says and the name of the plugin', () => {
    expect(messageWith({ pages: pool({ memory: 'much' as never }) })).toMatch(
      /@test\/pool.*Expected number but received "much"/,
    );
  });

  test('that are left out are an empty object, so that what is required is missed', () => {
    expect(problemsWith({ log: (journalLog as (options?: unknown) => unknown)() })).toEqual([
      'PW_OPTION_INVALID at log.commit',
    ]);
  });

  test('that are no object at all are refused', () => {
    expect(problemsWith({ pages: pool(null as never) })).toEqual(['PW_OPTION_INVALID at pages']);
  });

  test('are not taken by a plugin without a schema', () => {
    const loose = versions as unknown as (options: unknown) => ReturnType<typeof versions>;
    expect(problemsOf({ ...soundConfig, concurrency: loose({}) })).toEqual([]);
    expect(problemsWith({ concurrency: loose({ isolation: 'snapshot', speed: 9 }) })).toEqual([
      'PW_OPTION_INVALID at concurrency.isolation',
      'PW_OPTION_INVALID at concurrency.speed',
    ]);
    expect(problemsWith({ concurrency: loose('fast') })).toEqual(['PW_OPTION_INVALID at concurrency']);
  });

  test('cannot be checked asynchronously, and what such a check rejects with ends nothing', () => {
    const slow = extensionWithSchema(() => Promise.reject(new Error('too late')));
    expect(messageWith({ plugins: slow })).toContain('asynchronously');
  });

  test('are a fault of the plugin if its schema throws, answers nothing, or does not say what is wrong', () => {
    const thrown = new Error('schema is broken');
    const error = thrownBy(() =>
      composeUnchecked({
        ...soundConfig,
        plugins: extensionWithSchema(() => {
          throw thrown;
        }),
      }),
    ) as PagewrightError;
    expect(problemLines(error)).toEqual(['PW_PLUGIN_INVALID at plugins']);
    expect(error.cause).toBe(thrown);
    expect(problemsWith({ plugins: extensionWithSchema(() => undefined) })).toEqual(['PW_PLUGIN_INVALID at plugins']);
    expect(problemsWith({ plugins: extensionWithSchema(() => ({ issues: [] })) })).toEqual([
      'PW_OPTION_INVALID at plugins',
    ]);
  });

  test('may be named by path segments of any form that the standard allows', () => {
    const path = [{ key: 'a' }, 0, Symbol('s'), 'b c'];
    const [line] = problemsWith({ plugins: extensionWithSchema(() => ({ issues: [{ message: 'no', path }] })) });
    expect(line).toBe('PW_OPTION_INVALID at plugins.a[0][Symbol(s)]["b c"]');
  });
});

/** The lines of the problems of a config; none if it can be composed. */
function problemsOf(config: unknown): string[] {
  const error = thrownBy(() => composeUnchecked(config));
  return error === undefined ? [] : problemLines(error);
}

/** An extension whose Standard Schema was written by hand. */
function extensionWithSchema(validate: () => unknown): unknown {
  const schema = { '~standard': { version: 1, vendor: 'test', validate } };
  const definition = { name: '@test/schema', kind: 'extension', contract: 1, options: schema, setup() {} };
  return { [PLUGIN_MARK]: 'configured', definition, options: {} };
}
