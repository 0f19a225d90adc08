/**
 * The options with which the store was opened, for the threads that join it: they are of the store, and one for all of its threads. What is serializable is so only among
 * those that are.
 */
import { type Dependence, type Isolation, PagewrightError } from '@pagewright/core';
import { type CheckedOptions, checkOptions, type MvccOptions } from './options.js';

const ISOLATIONS: readonly Isolation[] = ['snapshot', 'serializable'];
const DEPENDENCES: readonly Dependence[] = ['seen', 'touched'];

const Word = { isolation: 0, dependsOn: 1, versionMemory: 2, maxTransactionBytes: 3, words: 4 } as const;

/** They never change. */
export function optionsMemory(options: CheckedOptions): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(Word.words * Float64Array.BYTES_PER_ELEMENT);
  const words = new Float64Array(memory);
  words[Word.isolation] = ISOLATIONS.indexOf(options.isolation);
  words[Word.dependsOn] = DEPENDENCES.indexOf(options.dependsOn);
  words[Word.versionMemory] = options.versionMemory;
  words[Word.maxTransactionBytes] = options.maxTransactionBytes;
  return memory;
}

/** The options of a thread that joins: those of the store, of which it may name any. Errors: `PW_OPTION_INVALID` if it names another value. */
export function joinedOptions(given: MvccOptions, memory: SharedArrayBuffer): CheckedOptions {
  const words = new Float64Array(memory);
  const store: CheckedOptions = {
    isolation: ISOLATIONS[words[Word.isolation]!]!,
    dependsOn: DEPENDENCES[words[Word.dependsOn]!]!,
    versionMemory: words[Word.versionMemory]!,
    maxTransactionBytes: words[Word.maxTransactionBytes]!,
  };
  const own = checkOptions(given);
  for (const option of Object.keys(store) as (keyof CheckedOptions)[]) {
    if (given[option] === undefined || own[option] === store[option]) continue;
    throw new PagewrightError(
      'PW_OPTION_INVALID',
      `${option} is ${own[option]} in this thread, and ${store[option]} where the store was opened. It is one for all threads: leave it out here, or give the same.`,
      { details: { option, value: own[option], store: store[option] } },
    );
  }
  return store;
}
