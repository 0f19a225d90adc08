/** Composes an engine from data: the config of `compose` with names of packages in the place of plugins. */
import { PagewrightError } from '../errors.js';
import { isConfiguredPlugin, isPluginFactory } from '../plugin.js';
import { Blueprint } from './blueprint.js';
import { makePlan } from './plan.js';
import { baseUrl, type ComposeFromOptions, loadPlugin } from './plugin-loader.js';
import { ProblemList } from './problem-list.js';
import { callIt, describe, isPlainObject, readSeats, type Seat } from './seats.js';

/**
 * Composes an engine from a config as it comes out of JSON. Where `compose` takes a plugin, this takes
 * - `"name"`: a package, an absolute path, a file URL, or a path relative to `from`, whose default export is the factory;
 * - `["name", options]`;
 * - a configured plugin, so that both can be mixed.
 *
 * Importing a plugin runs its code: take configs only from those who may decide what this process does.
 *
 * Errors: `PW_CONFIG` as for `compose`, with `PW_PLUGIN_UNKNOWN` for names that are not found and `PW_PLUGIN_INVALID` for
 * modules that cannot be imported (then `cause` has their error) or are not plugins. `PW_ARGUMENT` for a bad `from` or `plugins`, `PW_OPTION_INVALID` for options that
 * there are not.
 */
export async function composeFrom(config: unknown, options: ComposeFromOptions = {}): Promise<Blueprint> {
  checkOptions(options);
  const problems = new ProblemList();
  const base = options.from === undefined ? null : baseUrl(options.from);
  const seats = readSeats(config, isEntry, problems);
  const filled = await Promise.all(seats.map((seat) => fill(seat, base, options.plugins ?? {})));
  const plan = makePlan(filled, problems);
  problems.throwIfAny();
  return new Blueprint(plan);
}

const KNOWN: readonly string[] = ['from', 'plugins'] satisfies (keyof ComposeFromOptions)[];

function checkOptions(options: unknown): void {
  if (!isPlainObject(options))
    throw refused('PW_ARGUMENT', `an object with options, not ${describe(options)}`, { options });
  const unknown = Object.keys(options).filter((name) => !KNOWN.includes(name));
  if (unknown.length > 0) throw refused('PW_OPTION_INVALID', `no option ${unknown.join(', ')}`, { unknown });
  const { plugins } = options;
  if (plugins !== undefined && !isPlainObject(plugins)) {
    throw refused('PW_ARGUMENT', `as plugins an object of factories by name, not ${describe(plugins)}`, { plugins });
  }
}

function refused(
  code: 'PW_ARGUMENT' | 'PW_OPTION_INVALID',
  takes: string,
  details: Readonly<Record<string, unknown>>,
): PagewrightError {
  const message = `composeFrom takes ${takes}. It takes a config, and { ${KNOWN.join(', ')} }.`;
  return new PagewrightError(code, message, { details });
}

/** An entry is `["name", options]`; a list of two entries never looks like one, as an entry is not a plain object. */
function isEntry(value: unknown): value is readonly [string, Record<string, unknown>] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isPlainObject(value[1]);
}

/** The seat with a configured plugin in the place of a name, or with the reason why there is none. */
async function fill(seat: Seat, base: URL | null, given: Readonly<Record<string, unknown>>): Promise<Seat> {
  const { value } = seat;
  if (isConfiguredPlugin(value)) return seat;
  const [name, pluginOptions] = isEntry(value) ? value : [value, undefined];
  if (typeof name !== 'string') {
    const message = `This is ${describe(value)}, not a plugin. ${isPluginFactory(value) ? callIt(value) : 'Give "name", or ["name", { … }] for one with options.'}`;
    return { ...seat, failure: { code: 'PW_PLUGIN_INVALID', message } };
  }
  const loaded = await loadPlugin(name, base, given);
  return typeof loaded === 'function' ? { ...seat, value: loaded(pluginOptions) } : { ...seat, failure: loaded };
}
