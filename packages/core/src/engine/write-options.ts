/** How a change, or a transaction, is to be committed. */
import type { Dependence, Isolation } from '../contracts/concurrency.js';
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

export interface BeginOptions extends WriteOptions {
  /**
   * What the transaction may rely on. `snapshot`: it reads the state at its beginning, and of two that write a key the first to commit wins. `serializable`: besides, its commit is refused (`PW_CONFLICT`) if
   * anything that it has read was changed meanwhile, ranges and keys that were not there included; one that writes nothing never is. Default: as transactions are set up, which by default is `snapshot`.
   */
  readonly isolation?: Isolation | undefined;
}

export const BEGIN_OPTIONS: readonly string[] = [...WRITE_OPTIONS, 'isolation' satisfies keyof BeginOptions];

const DURABILITIES: readonly unknown[] = ['durable', 'relaxed', 'none', undefined] satisfies (Durability | undefined)[];

const DEPENDENCES: readonly unknown[] = ['seen', 'touched', undefined] satisfies (Dependence | undefined)[];
const ISOLATIONS: readonly unknown[] = ['snapshot', 'serializable', undefined] satisfies (Isolation | undefined)[];
const AS_SET_UP: BeginOptions = Object.freeze({});

/** Those of a change. Errors: `PW_ARGUMENT` for another option, or a value that there is not. */
export function checkWriteOptions(options: WriteOptions | undefined): WriteOptions {
  if (options === undefined) return AS_SET_UP;
  assertKnown('A change', options, WRITE_OPTIONS);
  const { durability, dependsOn } = options;
  checkWriteValues(durability, dependsOn);
  return { durability, dependsOn };
}

/** Those of a transaction, and others that are named. Errors: as of {@link checkWriteOptions}. */
export function checkBeginOptions(options: BeginOptions | undefined, others: readonly string[] = []): BeginOptions {
  if (options === undefined) return AS_SET_UP;
  assertKnown('A transaction', options, BEGIN_OPTIONS, others);
  const { durability, dependsOn, isolation } = options;
  if (!ISOLATIONS.includes(isolation)) {
    const message = `An isolation is 'snapshot' or 'serializable', not ${JSON.stringify(isolation)}.`;
    throw argument(message, { isolation });
  }
  checkWriteValues(durability, dependsOn);
  return { durability, dependsOn, isolation };
}

/** What has no options is not given any, which would be thought to count: `PW_ARGUMENT`. */
export function refuseOptions(call: string, given: readonly unknown[]): void {
  if (given.length === 0 || (given.length === 1 && given[0] === undefined)) return;
  const where = call === 'clear' ? 'It is always durable.' : 'Give them to begin() or transaction().';
  throw argument(`${call}() takes no options. ${where}`, { given });
}

/** Goes through names without a list of them: it is done for each transaction. */
function assertKnown(whose: string, options: object, known: readonly string[], others: readonly string[] = []): void {
  if (typeof options !== 'object' || options === null) throw argument('Options are an object.', { options });
  for (const name in options) {
    if (known.includes(name) || others.includes(name) || !Object.hasOwn(options, name)) continue;
    const all = [...others, ...known].join(', ');
    throw argument(`${whose} has no option '${name}'. There are: ${all}.`, { option: name });
  }
}

function checkWriteValues(durability: Durability | undefined, dependsOn: Dependence | undefined): void {
  if (!DURABILITIES.includes(durability)) {
    const message = `A durability is 'durable', 'relaxed' or 'none', not ${JSON.stringify(durability)}.`;
    throw argument(message, { durability });
  }
  if (!DEPENDENCES.includes(dependsOn)) {
    throw argument(`A change depends on what was 'seen' or 'touched', not on ${JSON.stringify(dependsOn)}.`, {
      dependsOn,
    });
  }
}
