/**
 * Whether the tokens of the plugins fit together: what is required is provided, what may have one provider has one, and
 * there is an order in which they can be set up.
 *
 * The plugins of the `io` slot are alternatives: only one of them will be part of the engine. So they may all provide the
 * same tokens, and others may rely only on what every one of them provides.
 */
import type { InjectionToken } from 'tsyringe';
import type { ProblemList } from './problem-list.js';
import type { Placement } from './seats.js';
import { nameOfToken, SHARED_TOKENS } from './slots.js';
import { TEARDOWN } from './teardown.js';

type Token = InjectionToken<unknown>;

/** What every container has before the first plugin is set up. */
const ENGINE_TOKENS: ReadonlySet<Token> = new Set([TEARDOWN]);

/**
 * Problems: `PW_PLUGIN_DUPLICATE` for a token with several providers, `PW_PLUGIN_MISSING` for one with none. Tokens in
 * `inDoubt` are passed over.
 */
export function checkTokens(
  placements: readonly Placement[],
  inDoubt: ReadonlySet<Token>,
  problems: ProblemList,
): void {
  checkProvidedOnce(placements, problems);
  const others = placements.filter((placement) => !isAlternative(placement));
  const sure = new Set<Token>([...ENGINE_TOKENS, ...inDoubt, ...others.flatMap(provides)]);
  const alternatives = placements.filter(isAlternative);
  for (const token of alternatives.flatMap(provides)) {
    if (alternatives.every((placement) => provides(placement).includes(token))) sure.add(token);
  }
  for (const placement of placements) {
    const own = isAlternative(placement) ? provides(placement) : [];
    for (const token of new Set(requires(placement))) {
      if (sure.has(token) || own.includes(token)) continue;
      const some = alternatives.some((alternative) => provides(alternative).includes(token));
      const message = `${placement.definition.name} requires ${nameOfToken(token)}, which ${some ? 'not every plugin under `io` provides' : 'no plugin provides'}.`;
      problems.add('PW_PLUGIN_MISSING', placement.path, `${message} Add a plugin that does, or take this one out.`);
    }
  }
}

/**
 * The placements, each after all that provide what it requires; otherwise in the order in which they came. Problems:
 * `PW_CONFIG` for plugins that require each other in a circle.
 */
export function setupOrder(placements: readonly Placement[], problems: ProblemList): Placement[] {
  const order: Placement[] = [];
  const done = new Set<Placement>();
  const visit = (placement: Placement, trail: readonly Placement[]): void => {
    if (done.has(placement)) return;
    const start = trail.indexOf(placement);
    if (start !== -1) {
      const circle = [...trail.slice(start), placement].map(({ definition }) => definition.name).join(' → ');
      problems.add(
        'PW_CONFIG',
        placement.path,
        `These plugins require each other in a circle: ${circle}. Take one of them out.`,
      );
      return;
    }
    for (const provider of providersFor(placement, placements)) visit(provider, [...trail, placement]);
    if (done.has(placement)) return;
    done.add(placement);
    order.push(placement);
  };
  for (const placement of placements) visit(placement, []);
  return order;
}

/** All that must be set up before this one can be used. */
export function needsOf(placement: Placement, placements: readonly Placement[]): ReadonlySet<Placement> {
  const needs = new Set<Placement>();
  const follow = (from: Placement): void => {
    for (const provider of providersFor(from, placements)) {
      if (needs.has(provider)) continue;
      needs.add(provider);
      follow(provider);
    }
  };
  follow(placement);
  return needs;
}

/** Whether only one of the placements of its slot will be used. */
export function isAlternative(placement: Placement): boolean {
  return placement.slot.key === 'io';
}

function checkProvidedOnce(placements: readonly Placement[], problems: ProblemList): void {
  const providers = new Map<Token, Placement>();
  for (const placement of placements) {
    for (const token of new Set(provides(placement))) {
      const earlier = providers.get(token);
      if (earlier === undefined) providers.set(token, placement);
      const engine = ENGINE_TOKENS.has(token);
      if (!engine && (earlier === undefined || SHARED_TOKENS.has(token))) continue;
      if (earlier !== undefined && isAlternative(earlier) && isAlternative(placement)) continue;
      const who =
        engine || earlier === undefined ? 'the engine itself' : `${earlier.definition.name} (at ${earlier.path})`;
      const message = `${placement.definition.name} provides ${nameOfToken(token)}, and so does ${who}. It can have one provider: leave one out.`;
      problems.add('PW_PLUGIN_DUPLICATE', placement.path, message);
    }
  }
}

/** A plugin that requires what it provides itself serves itself, and alternatives never serve each other. */
function providersFor(placement: Placement, placements: readonly Placement[]): Placement[] {
  const wanted = requires(placement);
  return placements.filter((other) => {
    if (other === placement || (isAlternative(other) && isAlternative(placement))) return false;
    return provides(other).some((token) => wanted.includes(token));
  });
}

function provides(placement: Placement): readonly Token[] {
  return placement.definition.provides ?? [];
}

function requires(placement: Placement): readonly Token[] {
  return placement.definition.requires ?? [];
}
