import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { composeFrom } from '../src/composition/compose-from.js';
import type { ComposeFromOptions } from '../src/composition/plugin-loader.js';
import { PagewrightError } from '../src/errors.js';
import { journalLog, memoryIo, pool, problemLines, rejectionOf, tree, trie, versions } from './composition-fakes.js';

const plugins = {
  '@test/io-memory': memoryIo,
  '@test/pool': pool,
  '@test/index-tree': tree,
  '@test/index-trie': trie,
  '@test/versions': versions,
  '@test/log': journalLog,
};

/** As it would come out of a file. */
const soundData: Readonly<Record<string, unknown>> = JSON.parse(`{
  "io": ["@test/io-memory"],
  "pages": ["@test/pool", { "memory": 4096 }],
  "indexes": ["@test/index-tree", ["@test/index-trie", { "fanout": 4 }]],
  "concurrency": "@test/versions",
  "log": ["@test/log", { "commit": "group" }]
}`);

/** What the sound config, changed so, rejects with; undefined if it can be composed. */
function errorWith(changes: Record<string, unknown>, options: ComposeFromOptions = {}): Promise<unknown> {
  return rejectionOf(composeFrom({ ...soundData, ...changes }, { plugins, ...options }));
}

/** The message of the only problem. */
async function messageWith(changes: Record<string, unknown>, options?: ComposeFromOptions): Promise<string> {
  const { problems } = (await errorWith(changes, options)) as PagewrightError;
  expect(problems).toHaveLength(1);
  return problems[0]!.message;
}

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe('composeFrom', () => {
  test('composes what a config file says, with options', async () => {
    const blueprint = await composeFrom(soundData, { plugins });
    expect(blueprint.describe().map(({ path, name, options }) => [path, name, options])).toEqual([
      ['io[0]', '@test/io-memory', {}],
      ['pages', '@test/pool', { memory: 4096 }],
      ['indexes[0]', '@test/index-tree', {}],
      ['indexes[1]', '@test/index-trie', { fanout: 4 }],
      ['concurrency', '@test/versions', {}],
      ['log', '@test/log', { commit: 'group' }],
    ]);
  });

  test('takes ["name", { … }] for one plugin where a list may stand, and ["name", "name"] for two', async () => {
    const one = await composeFrom({ ...soundData, indexes: ['@test/index-trie', { fanout: 8 }] }, { plugins });
    expect(one.describe()[2]).toMatchObject({ path: 'indexes', options: { fanout: 8 } });
    const two = await composeFrom({ ...soundData, indexes: ['@test/index-trie', '@test/index-tree'] }, { plugins });
    expect(two.describe().map(({ path }) => path)).toContain('indexes[1]');
  });

  test('takes configured plugins among names', async () => {
    const blueprint = await composeFrom(
      { ...soundData, io: memoryIo(), indexes: ['@test/index-tree', trie()] },
      { plugins },
    );
    expect(blueprint.describe()[3]).toMatchObject({ path: 'indexes[1]', name: '@test/index-trie' });
  });

  test('reports everything that is wrong at once, in the order of the config, and creates no file', async () => {
    const working = process.cwd();
    process.chdir(directory);
    try {
      const error = (await rejectionOf(
        composeFrom(
          {
            memory: '1GiB',
            io: ['@acme/io-nowhere-to-be-found', '@test/io-memory'],
            pages: ['@test/pool', { memory: 'much' }],
            indexes: ['./not-there.js', '@test/index-tree', 5],
            concurrency: '@test/log',
            log: ['@test/log'],
          },
          { plugins, from: import.meta.url },
        ),
      )) as PagewrightError;
      expect(error.code).toBe('PW_CONFIG');
      expect(problemLines(error)).toEqual([
        'PW_CONFIG at memory',
        'PW_CONFIG at log',
        'PW_PLUGIN_UNKNOWN at io[0]',
        'PW_OPTION_INVALID at pages.memory',
        'PW_PLUGIN_UNKNOWN at indexes[0]',
        'PW_PLUGIN_INVALID at indexes[2]',
        'PW_PLUGIN_INVALID at concurrency',
        'PW_OPTION_INVALID at concurrency.commit',
      ]);
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      process.chdir(working);
    }
  });

  test.each([undefined, null, '{"io":[]}', []])('takes data that was parsed, and not %j', async (config) => {
    expect(problemLines(await rejectionOf(composeFrom(config)))).toEqual(['PW_CONFIG at (config)']);
  });
});

describe('a name', () => {
  test('of a path is found from the module that the config belongs to', async () => {
    const pages = './composition-modules/pool.ts';
    expect(await errorWith({ pages }, { from: import.meta.url })).toBeUndefined();
    expect(await errorWith({ pages }, { from: new URL(import.meta.url) })).toBeUndefined();
    expect(await errorWith({ pages }, { from: fileURLToPath(import.meta.url) })).toBeUndefined();
    expect(await errorWith({ pages: [pages, { memory: 9 }] }, { from: import.meta.url })).toBeUndefined();
  });

  test('of a relative path is not found if it is not said from where', async () => {
    expect(problemLines(await errorWith({ pages: './composition-modules/pool.ts' }))).toEqual([
      'PW_PLUGIN_UNKNOWN at pages',
    ]);
    expect(await messageWith({ pages: '../pool.ts' })).toContain('{ from: import.meta.url }');
  });

  test('may be an absolute path or a file URL', async () => {
    const url = new URL('./composition-modules/pool.ts', import.meta.url);
    expect(await errorWith({ pages: url.href })).toBeUndefined();
    expect(await errorWith({ pages: fileURLToPath(url) })).toBeUndefined();
  });

  test('of a package is found where the config stands, even if the package came with its own copy of the contracts', async () => {
    const home = join(directory, 'node_modules', '@acme', 'index-skiplist');
    mkdirSync(home, { recursive: true });
    writeFileSync(
      join(home, 'package.json'),
      '{ "name": "@acme/index-skiplist", "type": "module", "exports": "./index.mjs" }',
    );
    writeFileSync(
      join(home, 'index.mjs'),
      `const mark = Symbol.for('pagewright.plugin');
       const definition = {
         name: '@acme/index-skiplist', kind: 'index', type: 'skiplist', contract: 1,
         provides: [Symbol.for('pagewright.INDEXES')], setup() {},
       };
       const make = (options) => ({ [mark]: 'configured', definition, options });
       export default Object.assign(make, { [mark]: 'factory', definition });`,
    );
    const from = pathToFileURL(join(directory, 'engine.json'));
    const blueprint = await composeFrom({ ...soundData, indexes: '@acme/index-skiplist' }, { plugins, from });
    expect(blueprint.describe()[2]).toMatchObject({ name: '@acme/index-skiplist', type: 'skiplist' });
    expect(problemLines(await errorWith({ indexes: '@acme/index-skiplist' }))).toEqual([
      'PW_PLUGIN_UNKNOWN at indexes',
    ]);
  });

  test.each([
    '@acme/io-nowhere-to-be-found',
    'nowhere-to-be-found',
    '@acme/nowhere-to-be-found/deep',
  ])('of a package that is not installed is PW_PLUGIN_UNKNOWN, with what to install: %s', async (io) => {
    const error = (await errorWith({ io })) as PagewrightError;
    expect(problemLines(error)).toEqual(['PW_PLUGIN_UNKNOWN at io']);
    expect(error.message).toContain('npm install');
    expect(problemLines(await errorWith({ io }, { from: import.meta.url }))).toEqual(['PW_PLUGIN_UNKNOWN at io']);
  });

  test.each([
    '',
    '.',
    '..',
    'data:text/javascript,export default 1',
    'https://example.org/x.js',
    'node:fs',
    '@acme',
    '/nowhere/x.js',
    'file:///nowhere/x.js',
    'file://elsewhere/x.js',
  ])('that is neither a package nor a file is PW_PLUGIN_UNKNOWN, and nothing is run: %j', async (pages) => {
    expect(problemLines(await errorWith({ pages }, { from: import.meta.url }))).toEqual(['PW_PLUGIN_UNKNOWN at pages']);
  });

  test('of a module that throws is PW_PLUGIN_INVALID, and the cause is its error', async () => {
    const error = (await errorWith(
      { pages: './composition-modules/throws.ts' },
      { from: import.meta.url },
    )) as PagewrightError;
    expect(error).toBeInstanceOf(PagewrightError);
    expect(problemLines(error)).toEqual(['PW_PLUGIN_INVALID at pages']);
    expect(error.message).toContain('the licence has run out');
    expect((error.cause as Error).message).toBe('the licence has run out');
  });

  test('of a module that lacks a package of its own is not said to be unknown itself', async () => {
    const file = join(directory, 'needs-more.mjs');
    writeFileSync(file, "import 'nowhere-to-be-found';\nexport default 1;\n");
    const error = (await errorWith({ pages: file })) as PagewrightError;
    expect(problemLines(error)).toEqual(['PW_PLUGIN_INVALID at pages']);
    expect((error.cause as Error).message).toContain('nowhere-to-be-found');
  });

  test('of several modules that throw keeps all their errors', async () => {
    const broken = './composition-modules/throws.ts';
    const error = (await errorWith({ pages: broken, log: broken }, { from: import.meta.url })) as PagewrightError;
    expect((error.cause as AggregateError).errors).toHaveLength(2);
  });

  test('of a module that exports something else is PW_PLUGIN_INVALID', async () => {
    const pages = './composition-modules/not-a-plugin.ts';
    expect(problemLines(await errorWith({ pages }, { from: import.meta.url }))).toEqual(['PW_PLUGIN_INVALID at pages']);
    expect(await messageWith({ pages }, { from: import.meta.url })).toContain('default export');
  });

  test('in `plugins` must stand for a factory, and names that every object has stand for none', async () => {
    const wrong = { ...plugins, '@test/pool': pool() as never };
    expect(problemLines(await errorWith({}, { plugins: wrong }))).toEqual(['PW_PLUGIN_INVALID at pages']);
    expect(problemLines(await errorWith({ pages: 'hasOwnProperty' }))).toEqual(['PW_PLUGIN_UNKNOWN at pages']);
  });
});

test.each([
  'here',
  './engine.json',
  'https://example.org/',
])('a `from` that names no file is PW_ARGUMENT: %s', async (from) => {
  expect(await errorWith({}, { from })).toMatchObject({ code: 'PW_ARGUMENT' });
});

test.each([
  ['null', null, 'PW_ARGUMENT', 'composeFrom takes an object with options, not null.'],
  ['text', './engine.json', 'PW_ARGUMENT', 'composeFrom takes an object with options, not the text "./engine.json".'],
  ['a list', [plugins], 'PW_ARGUMENT', 'composeFrom takes an object with options, not a list.'],
  ['plugins that are a list', { plugins: [pool] }, 'PW_ARGUMENT', 'by name, not a list.'],
  ['an option that there is not', { plugins, form: import.meta.url }, 'PW_OPTION_INVALID', 'no option form.'],
])('options that it does not take are refused: %s', async (_what, options, code, words) => {
  const error = (await rejectionOf(composeFrom(soundData, options as never))) as PagewrightError;
  expect(error).toMatchObject({ name: 'PagewrightError', code });
  expect(error.message).toContain(words);
  expect(error.message).toContain('{ from, plugins }');
});
