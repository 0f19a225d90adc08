/** The package as a plugin: provides `LOG`, and its policies as `COMMIT_POLICIES` beside those of other plugins. */
import { COMMIT_POLICIES, definePlugin, instancePerContainerCachingFactory, LOG } from '@pagewright/core';
import * as v from 'valibot';
import { optionProblems, type WalOptions } from './options.js';
import { BUILT_IN_POLICIES, WriteAheadLog } from './write-ahead-log.js';

const size = v.exactOptional(v.union([v.number(), v.string()], "must be a number of bytes, or as in '64MiB'"));

const options = v.pipe(
  v.strictObject({
    commit: v.exactOptional(v.pipe(v.string(), v.nonEmpty('must name a commit policy'))),
    segmentSize: size,
    maxRecordSize: size,
    bufferLimit: size,
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const { option: key, message } of optionProblems(dataset.value)) {
      const { value } = dataset;
      addIssue({ message, path: [{ type: 'object', origin: 'value', input: value, key, value: value[key] }] });
    }
  }),
);

/** The log, for `compose({ log: wal({ commit: 'pipelined' }) })`. */
export const wal = definePlugin({
  name: '@pagewright/wal',
  kind: 'log',
  contract: 1,
  provides: [LOG, COMMIT_POLICIES],
  options,
  setup(container, chosen: WalOptions) {
    for (const policy of BUILT_IN_POLICIES) container.register(COMMIT_POLICIES, { useValue: policy });
    container.register(LOG, {
      useFactory: instancePerContainerCachingFactory(
        (engine) => new WriteAheadLog(chosen, engine.resolveAll(COMMIT_POLICIES)),
      ),
    });
  },
});

export default wal;
