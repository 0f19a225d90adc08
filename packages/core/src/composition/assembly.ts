/**
 * Sets up the parts of one engine in a container of its own. Opens no file: that begins when the parts are handed to the
 * engine.
 */
import type { DependencyContainer, InjectionToken } from 'tsyringe';
import type { IoBackend } from '../contracts/io.js';
import type { EngineParts } from '../engine/open.js';
import { isPagewrightError, PagewrightError } from '../errors.js';
import { CONCURRENCY, INDEXES, IO, LOG, PAGES } from '../tokens.js';
import { createContainer } from './container.js';
import type { Plan } from './plan.js';
import type { Placement } from './seats.js';
import { nameOfToken } from './slots.js';
import { TEARDOWN, TeardownStack } from './teardown.js';
import { isAlternative, needsOf } from './token-check.js';

export interface Assembly {
  readonly parts: EngineParts;
  /** The I/O plugin in use. */
  readonly io: string;
  /** I/O plugins that come before the one in use, and why they do not work here. */
  readonly skippedIo: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * Tries the I/O plugins in order; the first that works gets the rest of the plugins set up around it, in the same
 * container. Errors: `PW_UNSUPPORTED`, `PW_PLUGIN_INVALID`; nothing is left open.
 */
export async function assemble(plan: Plan): Promise<Assembly> {
  const skippedIo: { name: string; reason: string }[] = [];
  for (const candidate of plan.placements.filter(isAlternative)) {
    const teardown = new TeardownStack();
    try {
      const container = createContainer();
      container.register(TEARDOWN, { useValue: teardown });
      const needs = needsOf(candidate, plan.placements);
      const before = plan.order.filter((placement) => placement === candidate || needs.has(placement));
      for (const placement of before) setUp(placement, container);
      const io = make(IO, container);
      const probe = probeOf(io);
      if (probe.supported) {
        const after = plan.order.filter((placement) => !before.includes(placement) && !isAlternative(placement));
        for (const placement of after) setUp(placement, container);
        return { parts: { io, ...makeParts(plan, container), teardown }, io: candidate.definition.name, skippedIo };
      }
      skippedIo.push({ name: candidate.definition.name, reason: probe.reason ?? 'it does not say why' });
    } catch (error) {
      throw await closeAfter(error, teardown);
    }
    await teardown.close();
  }
  const reasons = skippedIo.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
  throw new PagewrightError(
    'PW_UNSUPPORTED',
    `No I/O plugin of this engine works on this machine (${reasons}). Add one that does to \`io\`; @pagewright/io-posix works wherever Node.js does.`,
    { details: { skipped: skippedIo } },
  );
}

/** What a backend says of this machine. One that fails to say it does not keep those behind it from being tried. */
function probeOf(io: IoBackend): ReturnType<IoBackend['probe']> {
  try {
    const probe: unknown = io.probe();
    if (typeof (probe as { supported?: unknown } | null)?.supported === 'boolean')
      return probe as ReturnType<IoBackend['probe']>;
    return { supported: false, reason: "its `probe` does not say whether it works, which is its author's to correct" };
  } catch (error) {
    return { supported: false, reason: `its \`probe\` failed, which is its author's to correct: ${messageOf(error)}` };
  }
}

/** Closes what is open after an error, and returns the error to throw: the same, or one that has those of closing as well. */
export async function closeAfter(error: unknown, teardown: TeardownStack): Promise<unknown> {
  try {
    await teardown.close();
    return error;
  } catch (closing) {
    const known = isPagewrightError(error) ? error : undefined;
    const message = `${messageOf(error)} On top of that: ${messageOf(closing)}`;
    return new PagewrightError(known?.code ?? 'PW_INTERNAL', message, {
      cause: new AggregateError([error, closing], 'Opening failed, and closing what was open'),
      ...(known === undefined ? {} : { details: known.details, problems: known.problems }),
    });
  }
}

function makeParts(plan: Plan, container: DependencyContainer): Omit<EngineParts, 'io' | 'teardown'> {
  return {
    pages: make(PAGES, container),
    indexes: makeIndexes(plan, container),
    concurrency: make(CONCURRENCY, container),
    log: make(LOG, container),
  };
}

/** The index types, those of the `indexes` slot first and in its order: the first is the default. */
function makeIndexes(plan: Plan, container: DependencyContainer): EngineParts['indexes'] {
  const types = guard('the index types', () => container.resolveAll(INDEXES));
  const byName = new Map(types.map((type) => [type.name, type]));
  if (byName.size < types.length) {
    const names = types.map((type) => type.name).join(', ');
    throw new PagewrightError(
      'PW_PLUGIN_DUPLICATE',
      `Two index types have the same name (${names}). Leave one of their plugins out.`,
    );
  }
  const declared = plan.placements.flatMap(({ definition }) => (definition.kind === 'index' ? [definition] : []));
  const first = declared.map(({ name, type = '' }) => {
    const found = byName.get(type);
    if (found !== undefined) return found;
    throw new PagewrightError(
      'PW_PLUGIN_INVALID',
      `${name} says that it brings the index type "${type}", and registers none of that name. This is its author's to correct.`,
      { details: { plugin: name, registered: [...byName.keys()] } },
    );
  });
  return [...first, ...types.filter((type) => !first.includes(type))];
}

function setUp(placement: Placement, container: DependencyContainer): void {
  const { definition, options } = placement;
  const result: unknown = guard(
    `${definition.name} (at ${placement.path})`,
    () => definition.setup(container, options) as unknown,
  );
  if (typeof (result as PromiseLike<unknown> | undefined)?.then === 'function') {
    Promise.resolve(result).catch(() => {}); // nobody waits for it: its rejection must not end the process
    throw broken(definition.name, 'its `setup` is asynchronous; it must register its parts at once');
  }
  for (const token of definition.provides ?? []) {
    if (container.isRegistered(token)) continue;
    throw broken(
      definition.name,
      `it says that it provides ${nameOfToken(token)}, and its \`setup\` does not register it`,
    );
  }
}

function make<Part>(token: InjectionToken<Part>, container: DependencyContainer): Part {
  return guard(nameOfToken(token), () => container.resolve(token));
}

/** Runs code of a plugin. Its own errors are `PagewrightError`s; any other is a fault in it. */
function guard<Result>(what: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (isPagewrightError(error)) throw error;
    throw new PagewrightError(
      'PW_PLUGIN_INVALID',
      `Setting up ${what} failed: ${messageOf(error)}. Report it to the plugin's author.`,
      {
        cause: error,
      },
    );
  }
}

function broken(name: string, fault: string): PagewrightError {
  return new PagewrightError('PW_PLUGIN_INVALID', `${name}: ${fault}. This is its author's to correct.`, {
    details: { plugin: name },
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
