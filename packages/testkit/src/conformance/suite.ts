/**
 * What a conformance suite is: a list of clauses, each a sentence of a contract with a check that fails if a plugin does
 * not keep it. A suite runs under any test runner that has `describe` and `it`, and also without one, which is how the
 * suites themselves are tested: by plugins that break one clause each.
 */

import { checkNames, checkOneOf } from '../option-check.js';

/** The part of a test runner that a suite needs: that of vitest, of `node:test`, and of most others. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  readonly it: {
    (name: string, body: () => void | Promise<void>): unknown;
    skip(name: string, body: () => void | Promise<void>): unknown;
  };
}

/** One sentence of a contract. `Subject` is what is tested, with whatever the factory puts around it. */
export interface Clause<Subject, Capability extends string = never> {
  /** Stable, unique in the suite, in words with dashes: `read-beyond-end`. */
  readonly id: string;
  /** Numbers of the rules of `docs/architecture.md` that it is about: `IO1`, `L2`. */
  readonly rules?: readonly string[];
  /** What the plugin does, as a sentence that begins with a verb in the present tense. */
  readonly says: string;
  /** What the plugin must be able to do for the clause to apply. */
  readonly needs?: readonly Capability[];
  /** Throws if the plugin does not do it. */
  check(subject: Subject): void | Promise<void>;
}

export interface Suite<Subject, Capability extends string = never> {
  /** Kind of plugin: `I/O backend`, `index`. */
  readonly name: string;
  readonly clauses: readonly Clause<Subject, Capability>[];
}

/** How a suite gets what it tests: a new one for each clause. */
export interface SubjectFactory<Subject> {
  create(): Subject | Promise<Subject>;
  /** Called after each clause, whether it held or not. */
  dispose?(subject: Subject): void | Promise<void>;
}

/** Which optional capabilities the plugin has. What is left out it has not: the clauses are skipped, by name. */
export type Manifest<Capability extends string> = { readonly [Name in Capability]?: boolean };

/** A plugin does not do what its contract says. */
export class BrokenClause extends Error {
  constructor(
    readonly suite: string,
    readonly id: string,
    readonly rules: readonly string[],
    says: string,
    cause: unknown,
  ) {
    const which = rules.length === 0 ? id : `${id}, rule ${rules.join(', ')}`;
    super(`[${suite}: ${which}] It ${says}. ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'BrokenClause';
  }
}

/**
 * Registers every clause of a suite with a test runner. Clauses that need what the manifest does not promise are skipped. Errors: `TypeError` for a manifest with what
 * no clause of the suite needs: a capability that is misspelt would leave clauses out.
 */
export function runSuite<Subject, Capability extends string>(
  suite: Suite<Subject, Capability>,
  runner: TestRunner,
  factory: SubjectFactory<Subject>,
  manifest: Manifest<Capability>,
): void {
  checkManifest(suite, manifest);
  runner.describe(`conformance: ${suite.name}`, () => {
    for (const clause of suite.clauses) {
      const missing = missingFor(clause, manifest);
      const name = nameOf(clause);
      if (missing.length === 0) runner.it(name, () => checkClause(suite, clause, factory));
      else runner.it.skip(`${name} (needs: ${missing.join(', ')})`, () => undefined);
    }
  });
}

/** Every clause that the plugin breaks, without a test runner. `ids` limits it to some. Errors: as of {@link runSuite}; `RangeError` for an id that no clause has. */
export async function brokenClauses<Subject, Capability extends string>(
  suite: Suite<Subject, Capability>,
  factory: SubjectFactory<Subject>,
  manifest: Manifest<Capability>,
  ids?: ReadonlySet<string>,
): Promise<BrokenClause[]> {
  checkManifest(suite, manifest);
  const known = suite.clauses.map(({ id }) => id);
  for (const id of ids ?? []) checkOneOf('The id of a clause', id, known);
  const broken: BrokenClause[] = [];
  for (const clause of suite.clauses) {
    if (missingFor(clause, manifest).length > 0 || (ids !== undefined && !ids.has(clause.id))) continue;
    try {
      await checkClause(suite, clause, factory);
    } catch (error) {
      if (!(error instanceof BrokenClause)) throw error;
      broken.push(error);
    }
  }
  return broken;
}

/** So long a clause may take, and each of what is done before and after it, before the plugin counts as hanging. */
const HANG_MS = 30_000;

async function checkClause<Subject, Capability extends string>(
  suite: Suite<Subject, Capability>,
  clause: Clause<Subject, Capability>,
  factory: SubjectFactory<Subject>,
): Promise<void> {
  const broken = (error: unknown): BrokenClause =>
    new BrokenClause(suite.name, clause.id, clause.rules ?? [], clause.says, error);
  const subject = await settled(() => factory.create()).catch((error) => {
    throw broken(error);
  });
  let breach: BrokenClause | null = null;
  try {
    await settled(() => clause.check(subject));
  } catch (error) {
    breach = broken(error);
  }
  try {
    await settled(() => factory.dispose?.(subject));
  } catch (error) {
    // Often it fails because the clause was broken: that must be told, whatever comes after it.
    if (breach === null) throw error;
    breach.message += ` Then dispose() has failed: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (breach !== null) throw breach;
}

async function settled<Result>(work: () => Result | Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Nothing has come of it in ${HANG_MS / 1000} s.`)), HANG_MS);
  });
  try {
    return await Promise.race([work(), hang]);
  } finally {
    clearTimeout(timer);
  }
}

function checkManifest<Subject, Capability extends string>(
  { name, clauses }: Suite<Subject, Capability>,
  manifest: Manifest<Capability>,
): void {
  const capabilities = [...new Set(clauses.flatMap(({ needs = [] }) => needs))];
  checkNames(`A manifest of the ${name} suite`, manifest, capabilities);
}

function missingFor<Subject, Capability extends string>(
  { needs = [] }: Clause<Subject, Capability>,
  manifest: Manifest<Capability>,
): Capability[] {
  return needs.filter((capability) => manifest[capability] !== true);
}

function nameOf<Subject, Capability extends string>({ id, rules = [], says }: Clause<Subject, Capability>): string {
  return `${says} [${[id, ...rules].join(', ')}]`;
}
