/** Who commits: Pagewright with each of its policies, the peers in each way that is durable, the machine in each way of flushing, and modules of one's own. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BUILT_IN_POLICIES } from '@pagewright/wal';

const OWN = 'pagewright';
const MACHINE = 'machine';
/** For a question of its own: named when it is asked. */
const SCATTERED = 'pagewright-scattered';

export const policyNames = BUILT_IN_POLICIES.map(({ name }) => name);

/** Of each engine its ways to commit, as what is added to its name, and the options that its module's `open` takes. */
const WAYS = {
  [OWN]: null,
  [SCATTERED]: {
    ' seen': { policy: 'autonomous', dependsOn: 'seen' },
    ' touched': { policy: 'autonomous', dependsOn: 'touched' },
  },
  lmdb: { '': { overlappingSync: false }, ' flushed': { overlappingSync: true } },
  'better-sqlite3': { '': {} },
  [MACHINE]: {
    ' fdatasync': { flush: 'fdatasync' },
    ' O_DSYNC': { flush: 'O_DSYNC' },
    ' together': { flush: 'O_DSYNC', isTogether: true },
  },
};

export const engineNames = Object.keys(WAYS);

export const defaultNames = engineNames.filter((name) => name !== SCATTERED);

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} module Its URL.
 * @property {object} options For the module's `open`.
 * @property {boolean} isPeer Whether it has to be installed.
 * @property {boolean} isLimit Whether it is no engine, but what the machine needs.
 * @property {boolean} isOwn Whether its policy is looked at under open loop.
 */

/** Errors: one that says what there is. */
export function checkPolicy(name) {
  if (policyNames.includes(name)) return name;
  throw new Error(`There is no commit policy "${name}". There are: ${policyNames.join(', ')}.`);
}

/** @returns {Contestant[]} Errors: one that says what there is. */
export function contestantsOf(name, policies) {
  if (engineNames.includes(name)) {
    const module = new URL(`engines/${name}.mjs`, import.meta.url).href;
    const isOwn = name === OWN || name === SCATTERED;
    const isLimit = name === MACHINE;
    const ways = WAYS[name] ?? Object.fromEntries(policies.map((policy) => [` ${policy}`, { policy }]));
    const isPeer = !isOwn && !isLimit;
    return Object.entries(ways).map(([way, options]) => ({
      name: name + way,
      module,
      options,
      isOwn,
      isLimit,
      isPeer,
    }));
  }
  const path = resolve(name);
  if (name.endsWith('.mjs') && existsSync(path))
    return [{ name, module: pathToFileURL(path).href, options: {}, isOwn: true, isLimit: false, isPeer: false }];
  throw new Error(
    `There is no engine "${name}". There are: ${engineNames.join(', ')}, and any module that is named by its path.`,
  );
}
