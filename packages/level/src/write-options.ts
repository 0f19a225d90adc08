/** How durable a change is to be, in Level's words or in the engine's. */
import type { WriteOptions as EngineWriteOptions } from 'pagewright';
import { PagewrightLevelError } from './errors.js';

export interface WriteOptions {
  /** As in classic-level. True: it survives the machine, as `durability: 'durable'` says; false: the process, as `'relaxed'` does. Not beside `durability`. */
  readonly sync?: boolean | undefined;
  /** What a change survives once it is acknowledged. Default: as the database was opened, which by default is `durable`. */
  readonly durability?: 'durable' | 'relaxed' | 'none' | undefined;
}

/** Undefined: as the database was opened. Errors: `LEVEL_INVALID_OPTION`. A durability that there is not is for the engine to refuse. */
export function engineWrite({ sync, durability }: WriteOptions): EngineWriteOptions | undefined {
  if (sync === undefined) return durability === undefined ? undefined : { durability };
  if (typeof sync !== 'boolean')
    throw invalid(`The option sync is true or false, not ${JSON.stringify(sync) ?? typeof sync}.`);
  if (durability !== undefined) throw invalid('A change takes sync or durability, not both.');
  return { durability: sync ? 'durable' : 'relaxed' };
}

function invalid(message: string): PagewrightLevelError {
  return new PagewrightLevelError('LEVEL_INVALID_OPTION', message);
}
