/**
 * The package as a plugin: provides `CONCURRENCY`. Here alone it is said what keeps versions and makes commits beneath the turns: `Mvcc`, as it is exported for use
 * by itself.
 */
import { CONCURRENCY, definePlugin, instancePerContainerCachingFactory } from '@pagewright/core';
import { Mvcc, mvcc } from '@pagewright/mvcc';
import * as v from 'valibot';
import { type SingleWriterOptions, WAITS, waitProblem } from './options.js';
import { SingleWriter } from './single-writer.js';

const wait = (option: (typeof WAITS)[number]) =>
  v.exactOptional(
    v.pipe(
      v.number(`${option} is a number of milliseconds.`),
      v.check(
        (value) => waitProblem(option, value) === null,
        ({ input }) => waitProblem(option, input) ?? '',
      ),
    ),
  );

const options = v.pipe(
  v.strictObject({
    waitMs: wait('waitMs'),
    waitSyncMs: wait('waitSyncMs'),
    versionMemory: v.exactOptional(v.unknown()),
    maxTransactionBytes: v.exactOptional(v.unknown()),
    dependsOn: v.exactOptional(v.unknown()),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (typeof dataset.value !== 'object' || dataset.value === null) return;
    // What is beneath checks its own, beside what is wrong here too.
    const given = withoutWaits(dataset.value as SingleWriterOptions);
    const known = Object.entries(given).filter(([option]) => BENEATH.has(option));
    const value = Object.fromEntries(known);
    const result = mvcc.definition.options?.['~standard'].validate(value);
    if (result === undefined || result instanceof Promise) return;
    for (const { message, path } of result.issues ?? []) {
      const step = path?.[0];
      const key = String(typeof step === 'object' ? step.key : step);
      addIssue({ message, path: [{ type: 'object', origin: 'value', input: { ...value }, key, value: value[key] }] });
    }
  }),
);

const BENEATH: ReadonlySet<string> = new Set(['versionMemory', 'maxTransactionBytes', 'dependsOn']);

/** One writer at a time, for `compose({ concurrency: singleWriter({ waitMs: 2000 }) })`. */
export const singleWriter = definePlugin({
  name: '@pagewright/single-writer',
  kind: 'concurrency',
  contract: 1,
  provides: [CONCURRENCY],
  options,
  setup(container, chosen: SingleWriterOptions) {
    container.register(CONCURRENCY, {
      useFactory: instancePerContainerCachingFactory(
        () => new SingleWriter(new Mvcc(withoutWaits(chosen)), waitsOf(chosen)),
      ),
    });
  },
});

export default singleWriter;

function withoutWaits(chosen: SingleWriterOptions): Omit<SingleWriterOptions, (typeof WAITS)[number]> {
  const { waitMs: _, waitSyncMs: __, ...rest } = chosen;
  return rest;
}

function waitsOf(chosen: SingleWriterOptions): Pick<SingleWriterOptions, (typeof WAITS)[number]> {
  return Object.fromEntries(WAITS.filter((name) => chosen[name] !== undefined).map((name) => [name, chosen[name]]));
}
