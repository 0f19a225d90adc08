/**
 * The places of a config, and which token the plugins of each kind provide. The one list that both ways of composing,
 * the checks and the assembly go by.
 */
import type { InjectionToken } from 'tsyringe';
import { invariant } from '../errors.js';
import type { ConfiguredPlugin, PluginKind } from '../plugin.js';
import { COMMIT_POLICIES, CONCURRENCY, INDEXES, IO, LOG, PAGES, REPLACEMENTS, TRANSLATIONS } from '../tokens.js';

/** One plugin, or several. */
export type OneOrMore<Plugin> = Plugin | readonly Plugin[];

/** What {@link compose} takes. `Type` is the union of the types of the index plugins. */
export interface ComposeConfig<Type extends string = string> {
  /** The first that works on this machine is used. */
  readonly io: OneOrMore<ConfiguredPlugin<'io', never>>;
  readonly pages: ConfiguredPlugin<'pages', never>;
  /** The first is the default of `db.index`. */
  readonly indexes: OneOrMore<ConfiguredPlugin<'index', Type>>;
  readonly concurrency: ConfiguredPlugin<'concurrency', never>;
  readonly log: ConfiguredPlugin<'log', never>;
  /** Commit policies and extensions. */
  readonly plugins?: OneOrMore<ConfiguredPlugin<'commit-policy' | 'extension', never>> | undefined;
}

/** A place of the config. */
export interface Slot {
  readonly key: keyof ComposeConfig;
  readonly kinds: readonly PluginKind[];
  readonly many: boolean;
  readonly required: boolean;
}

/** In the order in which a config is read. */
export const SLOTS: readonly Slot[] = [
  { key: 'io', kinds: ['io'], many: true, required: true },
  { key: 'pages', kinds: ['pages'], many: false, required: true },
  { key: 'indexes', kinds: ['index'], many: true, required: true },
  { key: 'concurrency', kinds: ['concurrency'], many: false, required: true },
  { key: 'log', kinds: ['log'], many: false, required: true },
  { key: 'plugins', kinds: ['commit-policy', 'extension'], many: true, required: false },
];

/** The token that a plugin of the kind must provide; null if the kind has none. */
export const TOKEN_OF_KIND: Readonly<Record<PluginKind, InjectionToken<unknown> | null>> = {
  io: IO,
  pages: PAGES,
  index: INDEXES,
  concurrency: CONCURRENCY,
  log: LOG,
  'commit-policy': COMMIT_POLICIES,
  extension: null,
};

/** Tokens that several plugins of one engine may provide; whoever wants them resolves all. Any other has one provider. */
export const SHARED_TOKENS: ReadonlySet<InjectionToken<unknown>> = new Set([
  INDEXES,
  COMMIT_POLICIES,
  REPLACEMENTS,
  TRANSLATIONS,
]);

/** The slot in which plugins of the kind stand. */
export function slotOfKind(kind: PluginKind): Slot {
  const slot = SLOTS.find((candidate) => candidate.kinds.includes(kind));
  invariant(slot !== undefined, `No slot takes plugins of kind ${kind}`);
  return slot;
}

/** How messages name a token: `PAGES` for `Symbol.for('pagewright.PAGES')`. */
export function nameOfToken(token: InjectionToken<unknown>): string {
  if (typeof token === 'string') return token;
  if (typeof token === 'symbol') return (token.description ?? 'a nameless symbol').replace(/^pagewright\./, '');
  return 'name' in token && typeof token.name === 'string' ? token.name : 'a delayed class';
}
