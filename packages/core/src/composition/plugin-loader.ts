/**
 * Finds a plugin by the name of its package, or by the path of its module. Importing a module runs its code: whoever may
 * write the config may run code in this process.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PagewrightError } from '../errors.js';
import { isPluginFactory, type PluginFactory, type PluginKind } from '../plugin.js';
import type { Failure } from './seats.js';

/** Plugins of this project, whose names are easily taken for those of packages. */
const OWN_PLUGINS = ['bufferpool', 'index-art', 'index-btree', 'io-posix', 'io-uring', 'mvcc', 'single-writer', 'wal'];

/** Where names are looked up. */
export interface ComposeFromOptions {
  /**
   * URL or absolute path of the file that the config belongs to; in a module, `import.meta.url`. Relative paths start from
   * its directory, and packages that it can reach are found as well as those that Pagewright can.
   */
  readonly from?: string | URL | undefined;
  /** Factories by name. What is found here is not imported. */
  readonly plugins?: Readonly<Record<string, PluginFactory>> | undefined;
}

/** A factory, whatever its plugin. */
export type AnyPluginFactory = PluginFactory<PluginKind, string, [options?: unknown]>;

/**
 * The URL of the file that a config belongs to.
 * Errors: `PW_ARGUMENT` for what is neither a file URL nor an absolute path.
 */
export function baseUrl(from: string | URL): URL {
  const text = String(from);
  if (isAbsolute(text)) return pathToFileURL(text);
  if (text.startsWith('file:') && URL.canParse(text)) return new URL(text);
  throw new PagewrightError(
    'PW_ARGUMENT',
    `\`from\` is ${JSON.stringify(text)}. Pass a file URL, as import.meta.url, or an absolute path.`,
    {
      details: { from: text },
    },
  );
}

/**
 * The factory of that name, or why there is none: `PW_PLUGIN_UNKNOWN`, or `PW_PLUGIN_INVALID` for a module that throws or
 * that exports something else. Never rejects.
 */
export async function loadPlugin(
  name: string,
  base: URL | null,
  given: Readonly<Record<string, unknown>>,
): Promise<AnyPluginFactory | Failure> {
  if (Object.hasOwn(given, name)) {
    const factory = given[name];
    if (isPluginFactory(factory)) return factory;
    return invalid(`What \`plugins\` has for ${name} is not a plugin factory. Pass what definePlugin returned.`);
  }
  const target = locate(name, base);
  if (typeof target !== 'string') return target;
  let module: Readonly<Record<string, unknown>>;
  try {
    module = await import(target);
  } catch (error) {
    if (saysNotFound(error, name)) {
      const own = OWN_PLUGINS.find((known) => known === name || known.endsWith(`-${name}`));
      const cure =
        own === undefined
          ? `Install it (npm install ${packageOf(name)}), correct`
          : `Perhaps @pagewright/${own} is meant. Correct`;
      return unknown(
        `There is no package ${name} that can be imported. ${cure} the name, or pass its factory in \`plugins\`.`,
      );
    }
    return invalid(
      `${name} cannot be imported: ${error instanceof Error ? error.message : String(error)}. The cause has the error.`,
      error,
    );
  }
  if (isPluginFactory(module.default)) return module.default;
  return invalid(
    `${name} is not a plugin: its default export is not what definePlugin returned. Correct the name, or ask its author.`,
  );
}

/** What to import for a name, without importing anything. */
function locate(name: string, base: URL | null): string | Failure {
  if (/^\.\.?[/\\]/.test(name)) {
    if (base === null)
      return unknown(`${name} is a relative path, and it is not said from where. Pass { from: import.meta.url }.`);
    return locateFile(new URL(name.replaceAll('\\', '/'), base), name);
  }
  if (isAbsolute(name)) return locateFile(pathToFileURL(name), name);
  if (name.startsWith('file:') && URL.canParse(name)) return locateFile(new URL(name), name);
  if (!/^(@[^/:\\]+\/)?[^./:\\@][^:\\]*$/.test(name)) {
    return unknown(`${JSON.stringify(name)} is not the name of a package, a path, or a file URL. Correct it.`);
  }
  return locatePackage(name, base);
}

function locateFile(url: URL, name: string): string | Failure {
  let path: string;
  try {
    path = fileURLToPath(url);
  } catch {
    return unknown(`${name} names no file of this machine. Correct the URL.`);
  }
  if (existsSync(path)) return url.href;
  return unknown(`There is no file ${path}, which ${name} names. Correct the path.`);
}

/**
 * A package as the config's own file would find it; where `require` cannot tell (a package for `import` alone, or none
 * there), the name itself, to be found from this package.
 */
function locatePackage(name: string, base: URL | null): string {
  if (base === null) return name;
  try {
    const path = createRequire(base).resolve(name);
    return isAbsolute(path) ? pathToFileURL(path).href : name;
  } catch {
    return name;
  }
}

/** Whether the import failed because this package is missing, and not one that its code imports in turn. */
function saysNotFound(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') return false;
  return error.message.includes(`'${packageOf(name)}'`) || error.message.includes(`'${name}'`);
}

/** `@acme/x` for `@acme/x/y`. */
function packageOf(name: string): string {
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

function unknown(message: string): Failure {
  return { code: 'PW_PLUGIN_UNKNOWN', message };
}

function invalid(message: string, cause?: unknown): Failure {
  return { code: 'PW_PLUGIN_INVALID', message, cause };
}
