/** How a change, or a transaction, is to be committed. */
import type { Durability } from '../contracts/log.js';
import { argument } from './range.js';

export interface WriteOptions {
  /** What it survives once it is acknowledged. Default: as the log is set up, which by default is `durable`. */
  readonly durability?: Durability | undefined;
}

const DURABILITIES: readonly unknown[] = ['durable', 'relaxed', 'none', undefined] satisfies (Durability | undefined)[];

/** Undefined: as the log is set up. Errors: `PW_ARGUMENT` for another option, or a durability that there is not. */
export function durabilityOf(options: WriteOptions | undefined): Durability | undefined {
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null) throw argument('Options are an object.', { options });
  for (const name of Object.keys(options)) {
    if (name !== 'durability')
      throw argument(`A change has no option '${name}'. There is: durability.`, { option: name });
  }
  return checkDurability(options.durability);
}

export function checkDurability(durability: Durability | undefined): Durability | undefined {
  if (DURABILITIES.includes(durability)) return durability;
  throw argument(`A durability is 'durable', 'relaxed' or 'none', not ${JSON.stringify(durability)}.`, { durability });
}
