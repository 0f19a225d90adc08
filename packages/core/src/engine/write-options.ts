/** How a change, or a transaction, is to be committed. */
import type { Dependence } from '../contracts/concurrency.js';
import type { Durability } from '../contracts/log.js';
import { argument } from './range.js';

export interface WriteOptions {
  /** What it survives once it is acknowledged. Default: as the log is set up, which by default is `durable`. */
  readonly durability?: Durability | undefined;
  /**
   * What it waits for, and is not there without after a crash. `seen`: all commits that were visible when it began. `touched`: those of them that changed a page
   * which it reads from or writes to; then others may be missing although the program had seen them before. Default: as transactions are set up, which by default is `seen`.
   * A difference it makes with the commit policy `autonomous`; others wait for all before it.
   */
  readonly dependsOn?: Dependence | undefined;
}

/** Of those of {@link WriteOptions}, in the order in which messages name them. */
export const WRITE_OPTIONS: readonly string[] = ['durability', 'dependsOn'] satisfies (keyof WriteOptions)[];

const DURABILITIES: readonly unknown[] = ['durable', 'relaxed', 'none', undefined] satisfies (Durability | undefined)[];

const DEPENDENCES: readonly unknown[] = ['seen', 'touched', undefined] satisfies (Dependence | undefined)[];
const AS_SET_UP: WriteOptions = Object.freeze({});

/** Those of a change or a transaction. Errors: `PW_ARGUMENT` for another option, or a value that there is not. */
export function checkWriteOptions(options: WriteOptions | undefined): WriteOptions {
  if (options === undefined) return AS_SET_UP;
  if (typeof options !== 'object' || options === null) throw argument('Options are an object.', { options });
  for (const name of Object.keys(options)) {
    if (!WRITE_OPTIONS.includes(name))
      throw argument(`A change has no option '${name}'. There are: ${WRITE_OPTIONS.join(', ')}.`, { option: name });
  }
  return checkWriteValues(options);
}

/** The same of an object that may have others. */
export function checkWriteValues({ durability, dependsOn }: WriteOptions): WriteOptions {
  if (!DURABILITIES.includes(durability)) {
    const message = `A durability is 'durable', 'relaxed' or 'none', not ${JSON.stringify(durability)}.`;
    throw argument(message, { durability });
  }
  if (!DEPENDENCES.includes(dependsOn)) {
    throw argument(`A change depends on what was 'seen' or 'touched', not on ${JSON.stringify(dependsOn)}.`, {
      dependsOn,
    });
  }
  return { durability, dependsOn };
}
