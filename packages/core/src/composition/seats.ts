/**
 * Reads a config into seats: which value stands in which slot, under which path. What the values are is for others to
 * find out (a seat whose value is a sound plugin becomes a placement); here only the form of the config is checked.
 */
import type { ErrorCode } from '../errors.js';
import { type AnyPluginDefinition, isConfiguredPlugin } from '../plugin.js';
import { type ProblemList, pathTo } from './problem-list.js';
import { SLOTS, type Slot } from './slots.js';

/** One value that stands where a plugin is wanted. */
export interface Seat {
  readonly slot: Slot;
  /** `pages`, or `indexes[1]`. */
  readonly path: string;
  readonly value: unknown;
  /** Why the value is not a plugin, where that was found out already. */
  readonly failure?: Failure;
}

/** Why there is no plugin. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  /** The error of someone else's code, if that is the reason. */
  readonly cause?: unknown;
}

/** A sound plugin at its place, its options checked. */
export interface Placement {
  readonly slot: Slot;
  readonly path: string;
  readonly definition: AnyPluginDefinition;
  /** As the schema returned them. */
  readonly options: unknown;
}

/**
 * The seats of a config, in its order. `isEntry` tells an array that is one plugin (`["name", { … }]`) from a list.
 * Problems: `PW_CONFIG` for a config of the wrong form, `PW_PLUGIN_MISSING` for a slot that must not be empty.
 */
export function readSeats(config: unknown, isEntry: (value: unknown) => boolean, problems: ProblemList): Seat[] {
  if (!isPlainObject(config)) {
    problems.add('PW_CONFIG', '', `A config is an object with the keys ${keyList()}, not ${describe(config)}.`);
    return [];
  }
  for (const key of Object.keys(config)) {
    if (!SLOTS.some((slot) => slot.key === key)) {
      problems.add('PW_CONFIG', pathTo('', [key]), `There is no such key. A config has the keys ${keyList()}.`);
    }
  }
  return SLOTS.flatMap((slot) => readSlot(slot, config[slot.key], isEntry, problems));
}

/** How messages name a value. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return `the text ${JSON.stringify(value)}`;
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`;
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${String(value)}`;
}

/** What to do with a factory that stands where what it returns is wanted. */
export function callIt({ definition }: { readonly definition?: { readonly name?: string } }): string {
  return `Call it: ${definition?.name ?? 'the plugin'} is configured by calling its factory, as in btree().`;
}

/** An object as literals and JSON make it, and not a plugin. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || isConfiguredPlugin(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function readSlot(
  slot: Slot,
  value: unknown,
  isEntry: (value: unknown) => boolean,
  problems: ProblemList,
): readonly Seat[] {
  if (value === undefined) {
    if (slot.required) problems.add('PW_PLUGIN_MISSING', slot.key, `Nothing is given. ${wanted(slot)}`);
    return [];
  }
  if (!Array.isArray(value) || isEntry(value)) return [{ slot, path: slot.key, value }];
  if (!slot.many) {
    problems.add('PW_CONFIG', slot.key, `Takes one plugin, not a list${likeAnEntry(value)}. ${wanted(slot)}`);
    return [];
  }
  if (value.length === 0 && slot.required) {
    problems.add('PW_PLUGIN_MISSING', slot.key, `The list is empty. ${wanted(slot)}`);
  }
  return Array.from(value, (item: unknown, place) => ({ slot, path: pathTo(slot.key, [place]), value: item }));
}

/** Said of a list that was meant for one plugin with options, and is none. */
function likeAnEntry([name]: readonly unknown[]): string {
  return typeof name === 'string' ? ': one with options is ["name", { … }], of these two' : '';
}

/** What to do about an empty slot. */
function wanted(slot: Slot): string {
  const kinds = slot.kinds.map((kind) => `"${kind}"`).join(' or ');
  return `Give ${slot.many ? 'at least one plugin' : 'one plugin'} of kind ${kinds}.`;
}

function keyList(): string {
  return SLOTS.map((slot) => slot.key).join(', ');
}
