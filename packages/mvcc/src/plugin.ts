/** The package as a plugin: provides `CONCURRENCY`. */
import { CONCURRENCY, definePlugin, instancePerContainerCachingFactory } from '@pagewright/core';
import * as v from 'valibot';
import { Mvcc } from './mvcc.js';
import { type MvccOptions, optionProblems } from './options.js';

const size = v.exactOptional(v.union([v.number(), v.string()], "must be a number of bytes, or as in '64MiB'"));

const options = v.pipe(
  v.strictObject({
    isolation: v.exactOptional(v.picklist(['snapshot', 'serializable'])),
    versionMemory: size,
    maxTransactionBytes: size,
    dependsOn: v.exactOptional(v.picklist(['seen', 'touched'])),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    // Beside options that do not exist or are of a wrong type the others are checked all the same.
    const wrong = new Set(dataset.issues?.map(({ path }) => path?.[0]?.key));
    const given = Object.entries(dataset.value ?? {}).filter(([key]) => !wrong.has(key));
    const value: MvccOptions = Object.fromEntries(given);
    for (const { option: key, message } of optionProblems(value)) {
      addIssue({ message, path: [{ type: 'object', origin: 'value', input: { ...value }, key, value: value[key] }] });
    }
  }),
);

/** Transactions, for `compose({ concurrency: mvcc({ versionMemory: '256MiB' }) })`. */
export const mvcc = definePlugin({
  name: '@pagewright/mvcc',
  kind: 'concurrency',
  contract: 1,
  provides: [CONCURRENCY],
  options,
  setup(container, chosen: MvccOptions) {
    container.register(CONCURRENCY, { useFactory: instancePerContainerCachingFactory(() => new Mvcc(chosen)) });
  },
});

export default mvcc;
