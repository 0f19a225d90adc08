import * as v from 'valibot';
import { expectTypeOf, test } from 'vitest';
import {
  type Blueprint,
  type ConfiguredPlugin,
  compose,
  composeFrom,
  definePlugin,
  type Engine,
  INDEXES,
  type StandardSchemaV1,
} from '../src/index.js';
import {
  extension,
  journalLog,
  memoryIo,
  policy,
  pool,
  soundConfig,
  tree,
  trie,
  versions,
} from './composition-fakes.js';

test('a blueprint and its engines know the index types of their plugins', () => {
  const both = compose({ ...soundConfig, indexes: [tree(), trie()] });
  expectTypeOf(both).toEqualTypeOf<Blueprint<'tree' | 'trie'>>();
  expectTypeOf<Awaited<ReturnType<typeof both.open>>>().toEqualTypeOf<Engine<'tree' | 'trie'>>();
  expectTypeOf(compose({ ...soundConfig, indexes: tree() })).toEqualTypeOf<Blueprint<'tree'>>();
  const ready = [tree(), trie()] as const;
  expectTypeOf(compose({ ...soundConfig, indexes: ready })).toEqualTypeOf<Blueprint<'tree' | 'trie'>>();
});

test('an engine takes the types that it knows and no others', () => {
  type Types = NonNullable<NonNullable<Parameters<Engine<'tree' | 'trie'>['index']>[1]>['type']>;
  expectTypeOf<Types>().toEqualTypeOf<'tree' | 'trie'>();
});

test('a config from data has index types that only it knows', () => {
  expectTypeOf(composeFrom).returns.resolves.toEqualTypeOf<Blueprint<string>>();
});

test('plugins of one kind do not fit into the slot of another', () => {
  // None of these is run: what counts is that each is an error.
  (): unknown => [
    // @ts-expect-error a page store where I/O is wanted
    compose({ ...soundConfig, io: pool() }),
    // @ts-expect-error a log among indexes
    compose({ ...soundConfig, indexes: [tree(), journalLog({ commit: 'group' })] }),
    // @ts-expect-error several page stores
    compose({ ...soundConfig, pages: [pool()] }),
    // @ts-expect-error a factory that was not called
    compose({ ...soundConfig, concurrency: versions }),
    // @ts-expect-error a name
    compose({ ...soundConfig, log: '@pagewright/wal' }),
    // @ts-expect-error no log
    compose({ io: memoryIo(), pages: pool(), indexes: tree(), concurrency: versions() }),
    // @ts-expect-error an unknown key
    compose({ ...soundConfig, index: tree() }),
  ];
  compose({ ...soundConfig, io: [memoryIo()], plugins: [policy(), extension('@test/idle')] });
});

test('a factory takes the options of its schema', () => {
  expectTypeOf(versions).parameters.toEqualTypeOf<[]>();
  expectTypeOf(journalLog).parameters.toEqualTypeOf<[options: { commit: string }]>();
  expectTypeOf(trie).parameters.toEqualTypeOf<[options?: { fanout?: number | undefined } | undefined]>();
  const anything = definePlugin({ name: '@test/any', kind: 'extension', contract: 1, options: v.any(), setup() {} });
  // biome-ignore lint/suspicious/noExplicitAny: that is what such a schema says
  expectTypeOf(anything).parameters.toEqualTypeOf<[options?: any]>();
});

test('setup gets the options as the schema returns them', () => {
  const schema = v.strictObject({ size: v.pipe(v.string(), v.transform(Number)) });
  const sized = definePlugin({
    name: '@test/sized',
    kind: 'extension',
    contract: 1,
    options: schema,
    setup(_container, options) {
      expectTypeOf(options).toEqualTypeOf<{ size: number }>();
    },
  });
  expectTypeOf(sized).parameters.toEqualTypeOf<[options: { size: string }]>();
  definePlugin({
    name: '@test/none',
    kind: 'extension',
    contract: 1,
    setup(_container, options) {
      expectTypeOf(options).toEqualTypeOf<Record<string, never>>();
    },
  });
});

test('any Standard Schema will do', () => {
  const schema = {} as StandardSchemaV1<{ depth?: number }, { depth: number }>;
  const own = definePlugin({ name: '@test/own', kind: 'extension', contract: 1, options: schema, setup() {} });
  expectTypeOf(own).parameters.toEqualTypeOf<[options?: { depth?: number } | undefined]>();
  expectTypeOf(own).returns.toEqualTypeOf<ConfiguredPlugin<'extension', never>>();
});

test('an index plugin must name its type, and only an index plugin does', () => {
  (): unknown => [
    // @ts-expect-error there is no type
    definePlugin({ name: '@test/nameless', kind: 'index', contract: 1, provides: [INDEXES], setup() {} }),
    // @ts-expect-error a log has no type of index
    definePlugin({ name: '@test/log', kind: 'log', type: 'list', contract: 1, setup() {} }),
  ];
  expectTypeOf(tree.definition.type).toEqualTypeOf<'tree' | undefined>();
});
