/**
 * What a plugin is: a plain object that says what it provides, what it requires and which options it takes, and that
 * registers its parts under tokens. Nothing here looks at what a definition says; `compose` checks all of it at once.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { DependencyContainer, InjectionToken } from 'tsyringe';

export { instancePerContainerCachingFactory } from './composition/container.js';
export type { DependencyContainer, InjectionToken, StandardSchemaV1 };

/** Version of the contracts of this release. A plugin states the one that it was written against. */
export const CONTRACT_VERSION = 1;

/**
 * What a plugin is for. Each kind but `extension` provides the token of its kind: `IO`, `PAGES`, `INDEXES`,
 * `CONCURRENCY`, `LOG`, `COMMIT_POLICIES`. An extension provides tokens of its own, or none.
 */
export type PluginKind = 'io' | 'pages' | 'index' | 'concurrency' | 'log' | 'commit-policy' | 'extension';

/** Stands for the schema of a plugin that has none: it takes no options, and its `setup` gets `{}`. */
export interface NoOptions extends StandardSchemaV1<undefined, Record<string, never>> {
  /** In the type alone: tells it from a schema that takes anything. */
  readonly [noOptions]: never;
}
declare const noOptions: unique symbol;

/** What an author writes. `Schema` is any Standard Schema (valibot, zod, arktype, …) that checks synchronously. */
export interface PluginDefinition<Kind extends PluginKind = PluginKind, Schema extends StandardSchemaV1 = NoOptions> {
  /** The name of its package. No two plugins of an engine have the same. */
  readonly name: string;
  readonly kind: Kind;
  /** {@link CONTRACT_VERSION} of the release that it was written against, as a number: `1`. */
  readonly contract: number;
  /** Tokens that `setup` registers. */
  readonly provides?: readonly InjectionToken<unknown>[];
  /** Tokens that its parts resolve. */
  readonly requires?: readonly InjectionToken<unknown>[];
  /** Checks the options, and fills in defaults. Left out, options are `{}`. A plugin without a schema takes none. */
  readonly options?: Schema;
  /**
   * Registers what the plugin provides. Called once for each engine that is opened, with that engine's container and
   * with the options as the schema returned them. Runs before any file is opened, and opens none itself.
   */
  setup(container: DependencyContainer, options: StandardSchemaV1.InferOutput<Schema>): void;
}

/** A definition of kind `index` also says which type of index it brings, as in `db.index(name, { type })`. */
export interface IndexPluginDefinition<Type extends string = string, Schema extends StandardSchemaV1 = NoOptions>
  extends PluginDefinition<'index', Schema> {
  /** Equal to `IndexType.name` of what it registers. */
  readonly type: Type;
}

/** A definition of which only what every engine needs is known. `Type` is `never` unless the kind is `index`. */
export interface AnyPluginDefinition<Kind extends PluginKind = PluginKind, Type extends string = string> {
  readonly name: string;
  readonly kind: Kind;
  readonly contract: number;
  readonly type?: Type;
  readonly provides?: readonly InjectionToken<unknown>[];
  readonly requires?: readonly InjectionToken<unknown>[];
  readonly options?: StandardSchemaV1;
  setup(container: DependencyContainer, options: unknown): void;
}

/** Marks factories and configured plugins, also those that another copy of this package made. */
export const PLUGIN_MARK: unique symbol = Symbol.for('pagewright.plugin');

/** A plugin with its options, ready for `compose`. */
export interface ConfiguredPlugin<Kind extends PluginKind = PluginKind, Type extends string = string> {
  readonly [PLUGIN_MARK]: 'configured';
  readonly definition: AnyPluginDefinition<Kind, Type>;
  /** As they were given: `compose` checks them. */
  readonly options: unknown;
}

/** Makes configured plugins, and carries its definition, so that a config can name a package instead of importing it. */
export interface PluginFactory<
  Kind extends PluginKind = PluginKind,
  Type extends string = string,
  Arguments extends readonly unknown[] = readonly never[],
> {
  (...options: Arguments): ConfiguredPlugin<Kind, Type>;
  readonly [PLUGIN_MARK]: 'factory';
  readonly definition: AnyPluginDefinition<Kind, Type>;
}

/** What the factory of a plugin with this schema is called with: nothing, `options`, or `options?` if `{}` is enough. */
export type PluginArguments<Schema extends StandardSchemaV1> = [Schema] extends [NoOptions]
  ? []
  : Record<never, never> extends StandardSchemaV1.InferInput<Schema>
    ? [options?: StandardSchemaV1.InferInput<Schema> | undefined]
    : [options: StandardSchemaV1.InferInput<Schema>];

/**
 * Defines a plugin. Returns its factory, which a package exports under a short name and as `default`:
 *
 * ```ts
 * export const skiplist = definePlugin({ name: '@acme/index-skiplist', kind: 'index', type: 'skiplist', contract: 1, … });
 * export default skiplist;
 * ```
 *
 * Throws nothing: `compose` reports what is wrong with a definition, together with all else.
 */
export function definePlugin<const Type extends string, Schema extends StandardSchemaV1 = NoOptions>(
  definition: IndexPluginDefinition<Type, Schema>,
): PluginFactory<'index', Type, PluginArguments<Schema>>;
export function definePlugin<
  const Kind extends Exclude<PluginKind, 'index'>,
  Schema extends StandardSchemaV1 = NoOptions,
>(definition: PluginDefinition<Kind, Schema>): PluginFactory<Kind, never, PluginArguments<Schema>>;
export function definePlugin(definition: AnyPluginDefinition): PluginFactory<PluginKind, string, [options?: unknown]> {
  return Object.assign(
    (options?: unknown): ConfiguredPlugin => Object.freeze({ [PLUGIN_MARK]: 'configured', definition, options }),
    { [PLUGIN_MARK]: 'factory' as const, definition },
  );
}

/** Whether a value is a {@link ConfiguredPlugin}. Says nothing about whether its definition is sound. */
export function isConfiguredPlugin(value: unknown): value is ConfiguredPlugin {
  return isObject(value) && (value as { [PLUGIN_MARK]?: unknown })[PLUGIN_MARK] === 'configured';
}

/** Whether a value is what {@link definePlugin} returned. */
export function isPluginFactory(value: unknown): value is PluginFactory<PluginKind, string, [options?: unknown]> {
  return typeof value === 'function' && (value as { [PLUGIN_MARK]?: unknown })[PLUGIN_MARK] === 'factory';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
