/**
 * Opens a store with the engine that suits most, in one call. What is given of a config takes the place of the default
 * part; what is left out is as here. Nothing else happens in this package: whoever wants every choice uses `compose`.
 */
import { type BufferPoolOptions, bufferPool } from '@pagewright/bufferpool';
import {
  type AttachOptions,
  type Blueprint,
  type ComposeConfig,
  composeFrom,
  type Durability,
  type Engine,
  type EngineHandle,
  type OneOrMore,
  type OpenOptions,
  PagewrightError,
  type Problem,
  type RestoreOptions,
  type RestoreReport,
} from '@pagewright/core';
import { btree } from '@pagewright/index-btree';
import { ioPosix } from '@pagewright/io-posix';
import { mvcc } from '@pagewright/mvcc';
import { type WalOptions, wal } from '@pagewright/wal';

/** Where a plugin stands: a configured one, the name of its package, or name and options. */
export type PluginEntry<Plugin> = Plugin | string | readonly [name: string, options: Readonly<Record<string, unknown>>];

/** A config in which every part may be left out, and be given by name. */
type PartialConfig<Type extends string> = {
  readonly [Key in keyof ComposeConfig]?:
    | OneOrMore<PluginEntry<Exclude<Required<ComposeConfig<Type>>[Key], undefined | readonly unknown[]>>>
    | undefined;
};

/** Which parts an engine has, and shorthands for their commonest options. */
interface PartsOptions<Type extends string> extends PartialConfig<Type> {
  /** Name of the commit policy: `'sync'`, `'group'`, `'pipelined'`, `'autonomous'`, or one that a plugin brings. Not beside `log`. */
  readonly commit?: string | undefined;
  /** What commits survive that do not ask for something else. Not beside `log`. */
  readonly durability?: Durability | undefined;
  /** URL or absolute path from which relative paths of plugins start, as `import.meta.url`. */
  readonly from?: string | URL | undefined;
}

/** What {@link open} takes: what `Blueprint.open` takes, the parts of a config, and shorthands for their commonest options. */
export interface OpenStoreOptions<Type extends string = 'btree'> extends OpenOptions, PartsOptions<Type> {
  /** Memory for pages, in bytes or as in `'256MiB'`. Not beside `pages`. */
  readonly memory?: BufferPoolOptions['memory'];
  /** Page size of a new store. Not beside `pages`. */
  readonly pageSize?: BufferPoolOptions['pageSize'];
  /** Where the log is archived: a directory, or a function that is called with each segment. Not beside `log`. */
  readonly archive?: WalOptions['archive'];
  /** `archive`: after so many milliseconds commits are archived though their segment is not full; 0: never. Default: 60,000. Not without `archive`, nor beside `log`. */
  readonly archiveTimeoutMs?: WalOptions['archiveTimeoutMs'];
}

/** What {@link restore} takes: what `Blueprint.restore` takes, the parts of a config, and the shorthand `memory`. */
export interface RestoreStoreOptions extends RestoreOptions, Omit<PartsOptions<string>, 'commit' | 'durability'> {
  /** Memory for pages, in bytes or as in `'256MiB'`. Not beside `pages`. */
  readonly memory?: BufferPoolOptions['memory'];
}

/** What {@link attach} takes: what `Blueprint.attach` takes, and the parts with which the store was opened. Its memory, its page size and how it commits come with the handle. */
export interface AttachStoreOptions<Type extends string = 'btree'>
  extends AttachOptions,
    Omit<PartsOptions<Type>, 'commit' | 'durability'> {}

/** Options that are short for one of a part. */
const SHORTHANDS = {
  memory: 'pages',
  pageSize: 'pages',
  commit: 'log',
  durability: 'log',
  archive: 'log',
  archiveTimeoutMs: 'log',
} as const;

/**
 * Opens the store at `path`, and creates it if there is none: `await open('./app.pw', { memory: '1GiB' })`. Its log is beside
 * it, in `app.pw-wal`.
 *
 * Errors: those of `composeFrom` (`PW_CONFIG` with all `problems`) and of `Blueprint.open`.
 */
export async function open<Type extends string = 'btree'>(
  path: string,
  options: OpenStoreOptions<Type> = {},
): Promise<Engine<Type>> {
  checkObject('open takes a path', options);
  const { parts, rest } = partsOf(options);
  refuseUnknown('open', rest, [...SHORTHAND_NAMES, ...PARTS, ...OPENING], OPENING);
  const blueprint = await blueprintOf<Type>(parts);
  return await blueprint.open(path, rest);
}

/**
 * In another thread of the process: joins the store whose engine's `share()` returned the handle. The engine has the same API; closing it leaves the store open
 * for the others: `const db = await attach(workerData.handle)`.
 *
 * Errors: those of `composeFrom` (`PW_CONFIG` with all `problems`) and of `Blueprint.attach`.
 */
export async function attach<Type extends string = 'btree'>(
  handle: EngineHandle,
  options: AttachStoreOptions<Type> = {},
): Promise<Engine<Type>> {
  checkObject('attach takes a handle', options);
  const { parts, rest } = partsOf(options);
  const shorthands = Object.fromEntries(SHORTHAND_NAMES.map((name) => [name, parts[name]]));
  refuseUnknown('attach', { ...rest, ...given(shorthands) }, [...PARTS, ...ATTACHING], ATTACHING);
  const blueprint = await blueprintOf<Type>(parts);
  return await blueprint.attach(handle, rest);
}

/**
 * Makes a store at `path` of a backup and of what was archived since, as it was after any commit: `await restore({ backup: './monday.pw', archive: './archive', path:
 * './restored.pw', until: new Date('2026-03-04T05:06:07Z') })`. It is closed; open it like any other.
 *
 * Errors: those of `composeFrom` (`PW_CONFIG` with all `problems`) and of `Blueprint.restore`.
 */
export async function restore(options: RestoreStoreOptions): Promise<RestoreReport> {
  checkObject('restore takes where to restore from and to', options);
  const { io, pages, indexes, concurrency, log, plugins, from, memory, ...rest } = options;
  refuseUnknown('restore', rest, [...RESTORING, 'memory', ...PARTS], RESTORING);
  const parts = { io, pages, indexes, concurrency, log, plugins, from, memory };
  const blueprint = await blueprintOf(parts);
  return await blueprint.restore(rest);
}

const RESTORING = ['backup', 'archive', 'path', 'until', 'signal', 'onProgress'];
const OPENING = [
  'create',
  'errorIfExists',
  'readOnly',
  'follow',
  'recover',
  'checkpoint',
  'transactions',
  'onRecovery',
  'onFailure',
];
const ATTACHING = ['onFailure', 'transactions'];
const PARTS = ['io', 'pages', 'indexes', 'concurrency', 'log', 'plugins', 'from'];
const SHORTHAND_NAMES = Object.keys(SHORTHANDS) as (keyof typeof SHORTHANDS)[];

type Parts<Type extends string> = Pick<OpenStoreOptions<Type>, keyof PartsOptions<Type> | keyof typeof SHORTHANDS>;

function partsOf<Options extends OpenStoreOptions<string>>(
  options: Options,
): { readonly parts: Parts<string>; readonly rest: Omit<Options, keyof Parts<string>> } {
  const {
    memory,
    pageSize,
    commit,
    durability,
    archive,
    archiveTimeoutMs,
    from,
    io,
    pages,
    indexes,
    concurrency,
    log,
    plugins,
    ...rest
  } = options;
  const shorthands = { memory, pageSize, commit, durability, archive, archiveTimeoutMs };
  return { parts: { ...shorthands, from, io, pages, indexes, concurrency, log, plugins }, rest };
}

async function blueprintOf<Type extends string>(parts: Parts<string>): Promise<Blueprint<Type>> {
  refuseDoubles(parts);
  const { memory, pageSize, from, io, pages, indexes, concurrency, log, plugins } = parts;
  const { commit, durability, archive, archiveTimeoutMs } = parts;
  const config = {
    // By the addon where it loads; io_uring is by name, for what it takes of memory (decision 29).
    io: io ?? ioPosix(),
    pages: pages ?? bufferPool(given({ memory, pageSize })),
    indexes: indexes ?? btree(),
    concurrency: concurrency ?? mvcc(),
    log: log ?? wal(given({ commit, durability, archive, archiveTimeoutMs })),
    ...(plugins === undefined ? {} : { plugins }),
  };
  return (await composeFrom(config, { from })) as Blueprint<Type>;
}

function checkObject(takes: string, options: unknown): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return;
  throw new PagewrightError('PW_ARGUMENT', `${takes}, and an object with options.`, { details: { options } });
}

function refuseUnknown(call: string, options: object, known: readonly string[], taken: readonly string[]): void {
  const unknown = Object.keys(options).filter((name) => !taken.includes(name));
  if (unknown.length === 0) return;
  const message = `${call} has no option ${unknown.join(', ')}; there are ${known.join(', ')}.`;
  throw new PagewrightError('PW_OPTION_INVALID', message, { details: { unknown } });
}

/** A shorthand beside the part that it is short for would do nothing. */
function refuseDoubles(options: { readonly [Key in keyof OpenStoreOptions]?: unknown }): void {
  const problems: Problem[] = [];
  for (const shorthand of Object.keys(SHORTHANDS) as (keyof typeof SHORTHANDS)[]) {
    const part = SHORTHANDS[shorthand];
    if (options[shorthand] === undefined || options[part] === undefined) continue;
    const message = `${shorthand} is an option of the default for ${part}, and ${part} is given too. Give it as an option of that plugin.`;
    problems.push({ code: 'PW_OPTION_INVALID', path: shorthand, message });
  }
  if (problems.length === 0) return;
  const lines = problems.map(({ path, message }) => `${path}: ${message}`).join('\n');
  throw new PagewrightError('PW_CONFIG', `The store cannot be opened as asked:\n${lines}`, { problems });
}

/** The options that are not undefined. */
function given<Options extends object>(
  options: Options,
): { [Key in keyof Options]?: Exclude<Options[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
