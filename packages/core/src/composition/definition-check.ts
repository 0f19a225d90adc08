/**
 * Whether what a plugin's author wrote is a definition at all. Types say the same to those who use them; this is for
 * plugins that come by name, from plain JavaScript, or from another release.
 */
import { type AnyPluginDefinition, CONTRACT_VERSION, type PluginKind } from '../plugin.js';
import type { ProblemList } from './problem-list.js';
import { nameOfToken, TOKEN_OF_KIND } from './slots.js';

/**
 * True if the definition can be relied on. Problems: `PW_PLUGIN_CONTRACT` (then nothing else of it is looked at, as it may
 * be formed differently), `PW_PLUGIN_INVALID` for each thing that is wrong.
 */
export function isSound(definition: unknown, path: string, problems: ProblemList): definition is AnyPluginDefinition {
  if (typeof definition !== 'object' || definition === null) {
    problems.add('PW_PLUGIN_INVALID', path, 'The plugin has no definition. Make it with definePlugin({ … }).');
    return false;
  }
  const fields = definition as Readonly<Record<string, unknown>>;
  const name = typeof fields.name === 'string' && fields.name !== '' ? fields.name : 'The plugin';
  if (typeof fields.contract === 'number' && fields.contract !== CONTRACT_VERSION) {
    const advice =
      fields.contract < CONTRACT_VERSION ? `a newer release of ${name}` : 'a newer release of @pagewright/core';
    problems.add(
      'PW_PLUGIN_CONTRACT',
      path,
      `${name} was built for contract ${fields.contract}; this release has contract ${CONTRACT_VERSION}. Install ${advice}.`,
    );
    return false;
  }
  const faults = faultsOf(fields);
  for (const fault of faults)
    problems.add('PW_PLUGIN_INVALID', path, `${name}: ${fault}. This is its author's to correct.`);
  return faults.length === 0;
}

function faultsOf(fields: Readonly<Record<string, unknown>>): string[] {
  const faults: string[] = [];
  const expect = (holds: boolean, fault: string): void => {
    if (!holds) faults.push(fault);
  };
  expect(typeof fields.name === 'string' && fields.name !== '', 'its `name` must be the name of its package');
  expect(fields.contract === CONTRACT_VERSION, `its \`contract\` must be the number ${CONTRACT_VERSION}`);
  expect(typeof fields.setup === 'function', 'its `setup` must be a function');
  expect(fields.provides === undefined || isTokenList(fields.provides), 'its `provides` must be a list of tokens');
  expect(fields.requires === undefined || isTokenList(fields.requires), 'its `requires` must be a list of tokens');
  expect(fields.options === undefined || isStandardSchema(fields.options), 'its `options` must be a Standard Schema');
  const kind = fields.kind;
  if (!isKind(kind)) {
    faults.push(`its \`kind\` must be one of ${Object.keys(TOKEN_OF_KIND).join(', ')}`);
    return faults;
  }
  if (kind === 'index') {
    expect(
      typeof fields.type === 'string' && fields.type !== '',
      'its `type` must name the type of index that it brings',
    );
  }
  const token = TOKEN_OF_KIND[kind];
  const provides: readonly unknown[] = Array.isArray(fields.provides) ? fields.provides : [];
  if (token !== null) {
    expect(
      provides.includes(token),
      `a plugin of kind "${kind}" must have ${nameOfToken(token)} among its \`provides\``,
    );
  }
  return faults;
}

function isKind(value: unknown): value is PluginKind {
  return typeof value === 'string' && Object.hasOwn(TOKEN_OF_KIND, value);
}

function isTokenList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (token) =>
        typeof token === 'symbol' ||
        typeof token === 'string' ||
        typeof token === 'function' ||
        (typeof token === 'object' && token !== null),
    )
  );
}

/** Schemas of some libraries are functions. */
function isStandardSchema(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  const standard: unknown = (value as Readonly<Record<string, unknown>>)['~standard'];
  if (typeof standard !== 'object' || standard === null) return false;
  const { version, validate } = standard as Readonly<Record<string, unknown>>;
  return version === 1 && typeof validate === 'function';
}
