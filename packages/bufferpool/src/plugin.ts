/** The package as a plugin: provides `PAGES`, and its policies and translations beside those of other plugins. */
import { definePlugin, Lifecycle, PAGES, REPLACEMENTS, TRANSLATIONS } from '@pagewright/core';
import * as v from 'valibot';
import { BufferPool } from './buffer-pool.js';
import { type BufferPoolOptions, optionProblems, POOL_OPTIONS } from './options.js';
import { builtInReplacements } from './replacement/choice.js';
import { builtInTranslations } from './translation/choice.js';

const size = v.exactOptional(v.union([v.number(), v.string()], "must be a number of bytes, or as in '64MiB'"));

const options = v.pipe(
  v.strictObject({
    memory: size,
    pageSize: size,
    coolingFraction: v.exactOptional(v.number()),
    replacement: v.exactOptional(v.pipe(v.string(), v.nonEmpty('must name a replacement policy'))),
    pageProvider: v.exactOptional(v.boolean()),
    translation: v.exactOptional(v.pipe(v.string(), v.nonEmpty('must name a translation'))),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    // Beside options that do not exist or are of a wrong type the others are checked all the same.
    const wrong = new Set(dataset.issues?.map(({ path }) => path?.[0]?.key));
    const given = Object.entries(dataset.value ?? {}).filter(([key]) => !wrong.has(key));
    const value: BufferPoolOptions = Object.fromEntries(given);
    for (const { option: key, message } of optionProblems(value)) {
      addIssue({
        message: `${key} ${message}`,
        path: [{ type: 'object', origin: 'value', input: { ...value }, key, value: value[key] }],
      });
    }
  }),
);

/** The buffer pool, for `compose({ pages: bufferPool({ memory: '1GiB' }) })`. */
export const bufferPool = definePlugin({
  name: '@pagewright/bufferpool',
  kind: 'pages',
  contract: 1,
  provides: [PAGES, REPLACEMENTS, TRANSLATIONS],
  options,
  setup(container, chosen: BufferPoolOptions) {
    for (const type of builtInReplacements(chosen.coolingFraction)) {
      container.register(REPLACEMENTS, { useValue: type });
    }
    for (const type of builtInTranslations) container.register(TRANSLATIONS, { useValue: type });
    container.register(POOL_OPTIONS, { useValue: chosen });
    container.register(PAGES, { useClass: BufferPool }, { lifecycle: Lifecycle.ContainerScoped });
  },
});

export default bufferPool;
