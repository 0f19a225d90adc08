import assert from 'node:assert/strict';
import 'reflect-metadata';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { container as globalContainer } from 'tsyringe';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assemble } from '../src/composition/assembly.js';
import { compose } from '../src/composition/compose.js';
import { inject, injectable } from '../src/composition/container.js';
import { makePlan } from '../src/composition/plan.js';
import { ProblemList } from '../src/composition/problem-list.js';
import { readSeats } from '../src/composition/seats.js';
import { TEARDOWN } from '../src/composition/teardown.js';
import { PagewrightError } from '../src/errors.js';
import { definePlugin, type InjectionToken } from '../src/plugin.js';
import { COMMIT_POLICIES, INDEXES, IO, LOG, PAGES } from '../src/tokens.js';
import {
  absentIo,
  extension,
  journal,
  memoryIo,
  policy,
  pool,
  rejectionOf,
  soundConfig,
  tree,
} from './composition-fakes.js';

/** The parts of an engine with this config, and how they were found. */
function assembled(config: object): ReturnType<typeof assemble> {
  const problems = new ProblemList();
  const plan = makePlan(
    readSeats(config, () => false, problems),
    problems,
  );
  problems.throwIfAny();
  return assemble(plan);
}

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-'));
  journal.length = 0;
});

afterEach(() => {
  expect(readdirSync(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});

describe('setting up', () => {
  test('makes one part for each token, and gives parts what they require', async () => {
    const { parts } = await assembled(soundConfig);
    const pages = parts.pages as unknown as { io: unknown; options: unknown };
    expect(pages.io).toBe(parts.io);
    expect(pages.options).toEqual({ memory: 1024 });
    expect(parts.io.name).toBe('memory');
  });

  test('makes new parts for each engine, so that one blueprint opens several stores', async () => {
    const [first, second] = [await assembled(soundConfig), await assembled(soundConfig)];
    for (const key of ['io', 'pages', 'log', 'concurrency', 'teardown'] as const) {
      expect(first.parts[key]).not.toBe(second.parts[key]);
    }
  });

  test('keeps the order of the index plugins, and puts types that an extension brings behind them', async () => {
    const hashes = Symbol('HASHES');
    const more = extension('@test/more', {
      provides: [hashes],
      setup: (container) => container.register(INDEXES, { useValue: { name: 'hash' } as never }),
    });
    // It is set up after the extension; the tree is not, and stands behind it in the config.
    const needyTrie = definePlugin({
      name: '@test/needy-trie',
      kind: 'index',
      type: 'trie',
      contract: 1,
      provides: [INDEXES],
      requires: [hashes],
      setup: (container) => container.register(INDEXES, { useValue: { name: 'trie' } as never }),
    });
    const { parts } = await assembled({ ...soundConfig, indexes: [needyTrie(), tree()], plugins: more });
    expect(parts.indexes.map(({ name }) => name)).toEqual(['trie', 'tree', 'hash']);
  });

  test('comes to each plugin after those whose tokens it requires', async () => {
    const [a, b] = [Symbol('A'), Symbol('B')];
    await assembled({
      ...soundConfig,
      plugins: [
        extension('@test/last', {
          requires: [b],
          setup: (container) => expect(container.resolve(b)).toBe('@test/middle'),
        }),
        extension('@test/middle', {
          provides: [b],
          requires: [a],
          setup: (container) => expect(container.resolve(a)).toBe('@test/first'),
        }),
        extension('@test/first', { provides: [a] }),
      ],
    });
    expect(journal).toEqual(['set up @test/first', 'set up @test/middle', 'set up @test/last']);
  });

  test('gives those who want all providers of a shared token all of them', async () => {
    let found: string[] = [];
    const reader = extension('@test/reader', {
      requires: [COMMIT_POLICIES as symbol],
      setup: (container) => {
        found = container.resolveAll(COMMIT_POLICIES).map(({ name }) => name);
      },
    });
    const other = extension('@test/other', {
      provides: [COMMIT_POLICIES as symbol],
    });
    await assembled({ ...soundConfig, plugins: [reader, policy(), other] });
    expect(found).toHaveLength(2);
  });

  test('lets classes have their parts injected by token', async () => {
    class PagesReader {
      constructor(readonly pages: unknown) {}
    }
    // As decorators would be applied: those of parameters first.
    inject(PAGES)(PagesReader, undefined, 0);
    injectable()(PagesReader);
    let reader: PagesReader | undefined;
    const { parts } = await assembled({
      ...soundConfig,
      plugins: extension('@test/reader', {
        requires: [PAGES as symbol],
        setup: (container) => {
          reader = container.resolve(PagesReader);
        },
      }),
    });
    expect(reader?.pages).toBe(parts.pages);
  });

  test('registers nothing in the global container', async () => {
    await assembled(soundConfig);
    const tokens: InjectionToken<unknown>[] = [IO, PAGES, INDEXES, LOG, TEARDOWN];
    for (const token of tokens) expect(globalContainer.isRegistered(token)).toBe(false);
  });

  test('gives extensions the stack on which they put what must be closed', async () => {
    const closing = extension('@test/timer', {
      requires: [TEARDOWN as symbol],
      setup: (container) => container.resolve(TEARDOWN).push('the timer', () => void journal.push('stopped the timer')),
    });
    const { parts } = await assembled({ ...soundConfig, plugins: closing });
    await parts.teardown.close();
    expect(journal).toEqual(['set up @test/timer', 'stopped the timer']);
  });
});

describe('the I/O plugin', () => {
  test('is the first that works here; those before it are noted with their reasons', async () => {
    const { parts, io, skippedIo } = await assembled({ ...soundConfig, io: [absentIo(), memoryIo()] });
    expect(parts.io.name).toBe('memory');
    expect((parts.pages as unknown as { io: unknown }).io).toBe(parts.io);
    expect(io).toBe('@test/io-memory');
    expect(skippedIo).toEqual([{ name: '@test/io-absent', reason: 'its kernel module is not loaded' }]);
  });

  test('is the first even if a later one works as well', async () => {
    const { io, skippedIo } = await assembled({ ...soundConfig, io: [memoryIo(), absentIo()] });
    expect([io, skippedIo]).toEqual(['@test/io-memory', []]);
  });

  test('is missed, with the reasons of all, if none works here', async () => {
    const error = (await rejectionOf(
      compose({ ...soundConfig, io: absentIo() }).open(join(directory, 'app.pw')),
    )) as PagewrightError;
    expect(error.code).toBe('PW_UNSUPPORTED');
    expect(error.message).toContain('@test/io-absent: its kernel module is not loaded');
    expect(error.details).toEqual({
      skipped: [{ name: '@test/io-absent', reason: 'its kernel module is not loaded' }],
    });
  });

  test.each([
    [
      'throws',
      () => assert.fail('no such device'),
      "its `probe` failed, which is its author's to correct: no such device",
    ],
    ['gives nothing', () => undefined, "its `probe` does not say whether it works, which is its author's to correct"],
    ['gives null', () => null, "its `probe` does not say whether it works, which is its author's to correct"],
  ])('does not keep those behind it from being tried if its probe %s', async (_, probe, reason) => {
    const foolish = definePlugin({
      name: '@test/io-foolish',
      kind: 'io',
      contract: 1,
      provides: [IO],
      setup: (container) => void container.register(IO, { useValue: { name: 'foolish', probe } as never }),
    });
    const { io, skippedIo } = await assembled({ ...soundConfig, io: [foolish(), memoryIo()] });
    expect([io, skippedIo]).toEqual(['@test/io-memory', [{ name: '@test/io-foolish', reason }]]);
    const alone = compose({ ...soundConfig, io: foolish() }).open(join(directory, 'app.pw'));
    expect(await rejectionOf(alone)).toMatchObject({
      code: 'PW_UNSUPPORTED',
      message: expect.stringContaining(reason),
    });
  });

  test('is set up with what it requires before anything else, and what it leaves behind is closed if it does not work', async () => {
    const faults = Symbol('FAULTS');
    const injector = extension('@test/faults', {
      provides: [faults],
      requires: [TEARDOWN as symbol],
      setup: (container) =>
        container.resolve(TEARDOWN).push('the faults', () => void journal.push('closed the faults')),
    });
    const faultyIo = definePlugin({
      name: '@test/io-faulty',
      kind: 'io',
      contract: 1,
      provides: [IO],
      requires: [faults],
      setup(container) {
        journal.push('set up @test/io-faulty');
        const probe = (): { supported: boolean } => ({ supported: container.resolve(faults) !== '@test/faults' });
        container.register(IO, { useValue: { name: 'faulty', probe } as never });
      },
    });
    const { skippedIo } = await assembled({
      ...soundConfig,
      io: [faultyIo(), memoryIo()],
      plugins: [extension('@test/idle'), injector],
    });
    expect(skippedIo).toEqual([{ name: '@test/io-faulty', reason: 'it does not say why' }]);
    expect(journal).toEqual([
      'set up @test/faults',
      'set up @test/io-faulty',
      'closed the faults',
      'set up @test/faults',
      'set up @test/idle',
    ]);
  });
});

describe('a plugin that does not do what its definition says', () => {
  const cases: [string, () => unknown, string][] = [
    [
      'throws in setup',
      () =>
        extensionThat(() => {
          throw new TypeError('oops');
        }),
      'Setting up @test/bad (at plugins) failed: oops',
    ],
    ['answers setup with a promise', () => extensionThat(() => Promise.reject(new Error('later'))), 'asynchronous'],
    ['does not register what it provides', () => extensionThat(() => {}, [Symbol('CACHE')]), 'CACHE'],
  ];

  test.each(cases)('is PW_PLUGIN_INVALID: it %s', async (_, make, message) => {
    const error = (await rejectionOf(openWith({ plugins: make() }))) as PagewrightError;
    expect([error.name, error.code]).toEqual(['PagewrightError', 'PW_PLUGIN_INVALID']);
    expect(error.message).toContain(message);
  });

  test('is PW_PLUGIN_INVALID if it registers an index type of another name', async () => {
    const liar = definePlugin({ ...tree.definition, name: '@test/liar', kind: 'index', type: 'list' });
    const error = (await rejectionOf(openWith({ indexes: [liar()] }))) as PagewrightError;
    expect(error.code).toBe('PW_PLUGIN_INVALID');
    expect(error.message).toContain('"list"');
  });

  test('is PW_PLUGIN_DUPLICATE if it registers an index type that is there already', async () => {
    const copy = extension('@test/copy', {
      setup: (container) => container.register(INDEXES, { useValue: { name: 'tree' } as never }),
    });
    expect(await rejectionOf(openWith({ plugins: copy }))).toMatchObject({ code: 'PW_PLUGIN_DUPLICATE' });
  });

  test('is PW_PLUGIN_INVALID if its part cannot be made, with the reason as the cause', async () => {
    const reason = new RangeError('too large');
    const broken = definePlugin({
      ...pool.definition,
      kind: 'pages',
      name: '@test/broken-pool',
      setup: (container) => {
        container.register(PAGES, {
          useFactory: () => {
            throw reason;
          },
        });
      },
    });
    const error = (await rejectionOf(openWith({ pages: broken() }))) as PagewrightError;
    expect([error.code, error.cause]).toEqual(['PW_PLUGIN_INVALID', reason]);
    expect(error.message).toContain('PAGES');
  });

  test('keeps its own PagewrightError', async () => {
    const own = new PagewrightError('PW_OPTION_INVALID', 'No.');
    const error = await rejectionOf(
      openWith({
        plugins: extensionThat(() => {
          throw own;
        }),
      }),
    );
    expect(error).toBe(own);
  });

  test('leaves nothing open, and what fails on closing is told as well', async () => {
    const opener = extension('@test/opener', {
      setup: (container) => {
        container.resolve(TEARDOWN).push('the first', () => void journal.push('closed the first'));
        container.resolve(TEARDOWN).push('the second', () => Promise.reject(new Error('stuck')));
      },
    });
    const error = (await rejectionOf(
      openWith({
        plugins: [
          opener,
          extensionThat(() => {
            throw new TypeError('oops');
          }),
        ],
      }),
    )) as PagewrightError;
    expect(journal).toEqual(['set up @test/opener', 'closed the first']);
    expect(error.code).toBe('PW_PLUGIN_INVALID');
    expect(error.message).toMatch(/oops.*On top of that.*the second \(stuck\)/);
    expect((error.cause as AggregateError).errors).toHaveLength(2);
  });
});

describe('opening', () => {
  test('closes what plugins opened if the engine cannot be opened', async () => {
    const failure = new PagewrightError('PW_NOT_A_STORE', 'That is a picture.');
    const failingPool = definePlugin({
      ...pool.definition,
      name: '@test/failing-pool',
      kind: 'pages',
      setup: (container) => {
        container.register(PAGES, {
          useValue: { open: () => Promise.reject(failure), close: async () => {} } as never,
        });
      },
    });
    const opener = extension('@test/opener', {
      setup: (container) => container.resolve(TEARDOWN).push('the timer', () => void journal.push('stopped the timer')),
    });
    expect(await rejectionOf(openWith({ pages: failingPool(), plugins: opener }))).toBe(failure);
    expect(journal).toEqual(['set up @test/opener', 'stopped the timer']);
  });

  test.each(['', 7, undefined, 'a\0b'])('takes a path and nothing else: %j', async (path) => {
    expect(await rejectionOf(compose(soundConfig).open(path as string))).toMatchObject({ code: 'PW_ARGUMENT' });
  });
});

function openWith(changes: Record<string, unknown>): Promise<unknown> {
  const config = { ...soundConfig, ...changes } as Parameters<typeof compose>[0];
  return compose(config).open(join(directory, 'app.pw'));
}

/** An extension with this `setup`, which a type would not let through. */
function extensionThat(setup: () => unknown, provides: symbol[] = []): unknown {
  return definePlugin({ name: '@test/bad', kind: 'extension', contract: 1, provides, setup: setup as () => void })();
}
