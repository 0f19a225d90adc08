/**
 * What a blueprint hands to the engine, and what it remembers of it. The engine itself stands aside here: it would want
 * real parts, and those come from packages that are built on this one.
 */
import { expect, test, vi } from 'vitest';
import { compositionOf } from '../src/composition/blueprint.js';
import { compose } from '../src/composition/compose.js';
import { TEARDOWN } from '../src/composition/teardown.js';
import type { EngineParts } from '../src/engine/parts.js';
import { PagewrightError } from '../src/errors.js';
import { absentIo, extension, memoryIo, rejectionOf, soundConfig } from './composition-fakes.js';

interface Opened {
  readonly parts: EngineParts;
  readonly path: string;
  readonly options: unknown;
}

vi.mock('../src/engine/open.js', () => ({
  async openEngine(parts: EngineParts, path: string, options: unknown): Promise<Opened> {
    if (path === 'broken.pw') throw failure;
    return { parts, path, options };
  },
}));

const failure = new PagewrightError('PW_NOT_A_STORE', 'That is a picture.', { details: { path: 'broken.pw' } });

test('one blueprint opens several stores, each with parts of its own', async () => {
  const blueprint = compose(soundConfig);
  const first = (await blueprint.open('a.pw')) as unknown as Opened;
  const second = (await blueprint.open('b.pw', { readOnly: true })) as unknown as Opened;
  expect([first.path, first.options]).toEqual(['a.pw', {}]);
  expect([second.path, second.options]).toEqual(['b.pw', { readOnly: true }]);
  for (const key of ['io', 'pages', 'concurrency', 'log', 'teardown'] as const) {
    expect(first.parts[key]).not.toBe(second.parts[key]);
  }
});

test('an engine can be asked what it is made of, and which I/O was passed over', async () => {
  const blueprint = compose({ ...soundConfig, io: [absentIo(), memoryIo()] });
  const engine = await blueprint.open('a.pw');
  expect(compositionOf(engine)).toEqual({
    io: '@test/io-memory',
    skippedIo: [{ name: '@test/io-absent', reason: 'its kernel module is not loaded' }],
    plugins: blueprint.describe(),
  });
  expect(compositionOf({})).toBeUndefined();
});

test('what plugins opened is closed if the engine cannot be opened, and what then fails is told as well', async () => {
  const closed: string[] = [];
  const opener = extension('@test/opener', {
    setup: (container) => container.resolve(TEARDOWN).push('the timer', () => void closed.push('timer')),
  });
  expect(await rejectionOf(compose({ ...soundConfig, plugins: opener }).open('broken.pw'))).toBe(failure);
  expect(closed).toEqual(['timer']);

  const stuck = extension('@test/stuck', {
    setup: (container) => container.resolve(TEARDOWN).push('the socket', () => Promise.reject(new Error('stuck'))),
  });
  const error = (await rejectionOf(
    compose({ ...soundConfig, plugins: [opener, stuck] }).open('broken.pw'),
  )) as PagewrightError;
  expect([error.code, error.details]).toEqual(['PW_NOT_A_STORE', { path: 'broken.pw' }]);
  expect(error.message).toMatch(/picture.*On top of that.*the socket \(stuck\)/);
  expect((error.cause as AggregateError).errors[0]).toBe(failure);
  expect(closed).toEqual(['timer', 'timer']);
});
