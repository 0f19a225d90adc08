/**
 * Checks a plugin's options by its schema. One rule for both ways of composing: a schema answers at once. `compose` is
 * synchronous, and a plugin that could be composed only from a config file would be a trap; so a schema that answers with a
 * promise is a fault of the plugin, and said to be one.
 */
import type { AnyPluginDefinition, StandardSchemaV1 } from '../plugin.js';
import { type ProblemList, pathTo } from './problem-list.js';
import { isPlainObject } from './seats.js';

type Issue = StandardSchemaV1.Issue;
type Checked = ReturnType<StandardSchemaV1['~standard']['validate']>;

/**
 * The options as the schema returned them, with defaults filled in. Left out, they are `{}`. Undefined if there are
 * problems: `PW_OPTION_INVALID` at the path of each option, `PW_PLUGIN_INVALID` for a schema that is not usable.
 */
export function checkOptions(
  definition: AnyPluginDefinition,
  given: unknown,
  path: string,
  problems: ProblemList,
): { readonly value: unknown } | undefined {
  const { name, options: schema } = definition;
  if (schema === undefined) return acceptNone(name, given, path, problems);
  let result: Checked;
  try {
    result = schema['~standard'].validate(given === undefined ? {} : given);
  } catch (error) {
    problems.add(
      'PW_PLUGIN_INVALID',
      path,
      `The schema of ${name} failed: ${messageOf(error)}. Report it to its author.`,
      error,
    );
    return undefined;
  }
  if (typeof result !== 'object' || result === null) {
    problems.add('PW_PLUGIN_INVALID', path, `The schema of ${name} gave no result. Report it to its author.`);
    return undefined;
  }
  if ('then' in result) {
    Promise.resolve(result).catch(() => {}); // nobody waits for it: its rejection must not end the process
    const message = `${name} checks its options asynchronously; a plugin's schema must answer at once. Report it to its author.`;
    problems.add('PW_PLUGIN_INVALID', path, message);
    return undefined;
  }
  if (!result.issues) return { value: result.value };
  const issues = result.issues.length > 0 ? result.issues : [{ message: 'the schema does not say why' }];
  for (const issue of [...issues, ...furtherIssues(schema, given, issues)]) {
    const message = `${name} does not accept this: ${issue.message.replace(/\.$/, '')}. Its README lists the options that it takes.`;
    problems.add('PW_OPTION_INVALID', pathTo(path, keysOf(issue)), message);
  }
  return undefined;
}

/**
 * What is wrong with the other options: many schemas stop at the first one that they do not know. So what they complained
 * of is left out, and what is left is checked again, until nothing new is found.
 */
function furtherIssues(schema: StandardSchemaV1, given: unknown, issues: readonly Issue[]): Issue[] {
  if (!isPlainObject(given)) return [];
  const further: Issue[] = [];
  const rest: Record<string, unknown> = { ...given };
  let found = issues;
  for (;;) {
    const named = found.map((issue) => keysOf(issue)[0]).filter((key) => typeof key === 'string');
    for (const key of named) delete rest[key];
    if (named.length === 0) return further;
    // Of what was left out, nothing new can be said.
    found = issuesOf(schema, { ...rest }).filter((issue) => Object.hasOwn(rest, keysOf(issue)[0] ?? ''));
    further.push(...found);
  }
}

/** What a schema says of a part of the options. It has refused the whole: should it fail at the part, that was enough. */
function issuesOf(schema: StandardSchemaV1, given: unknown): readonly Issue[] {
  try {
    const result = schema['~standard'].validate(given);
    return 'then' in result ? [] : (result.issues ?? []);
  } catch {
    return [];
  }
}

function keysOf({ path = [] }: Issue): PropertyKey[] {
  return path.map((segment) => (typeof segment === 'object' ? segment.key : segment));
}

function acceptNone(
  name: string,
  given: unknown,
  path: string,
  problems: ProblemList,
): { readonly value: unknown } | undefined {
  if (given === undefined || (isPlainObject(given) && Object.keys(given).length === 0)) return { value: {} };
  const keys = isPlainObject(given) ? Object.keys(given) : [];
  const message = `${name} takes no options. Leave them out.`;
  if (keys.length === 0) problems.add('PW_OPTION_INVALID', path, message);
  for (const key of keys) problems.add('PW_OPTION_INVALID', pathTo(path, [key]), message);
  return undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
