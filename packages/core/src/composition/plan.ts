/**
 * From seats to a plan: which plugins, with which options, in which order. A plan is made only of what is in order:
 * whoever has one may set up parts without looking again.
 */
import type { InjectionToken } from 'tsyringe';
import { type AnyPluginDefinition, isConfiguredPlugin, isPluginFactory } from '../plugin.js';
import { isSound } from './definition-check.js';
import { checkOptions } from './options-check.js';
import type { ProblemList } from './problem-list.js';
import { callIt, describe, type Placement, type Seat } from './seats.js';
import { SLOTS, type Slot, slotOfKind, TOKEN_OF_KIND } from './slots.js';
import { checkTokens, setupOrder } from './token-check.js';

/** All that an engine is made of. */
export interface Plan {
  /** In the order of the config. */
  readonly placements: readonly Placement[];
  /** The same, so that each comes after those whose tokens it requires. */
  readonly order: readonly Placement[];
}

/** Adds a problem for each thing that is wrong. The plan is good for nothing if there are any. */
export function makePlan(seats: readonly Seat[], problems: ProblemList): Plan {
  const placements: Placement[] = [];
  const misplaced: Placement[] = [];
  const broken: Slot[] = [];
  for (const seat of seats) {
    const definition = definitionAt(seat, problems);
    if (definition === undefined) {
      broken.push(seat.slot);
      continue;
    }
    const fits = checkKind(seat, definition, problems);
    const options = checkOptions(definition, (seat.value as { options: unknown }).options, seat.path, problems);
    const placement = { slot: seat.slot, path: seat.path, definition, options: options?.value };
    (fits ? placements : misplaced).push(placement);
  }
  // One in the wrong slot is told of already, also if it is in the right one as well.
  checkNames(placements, problems);
  checkTokens(placements, tokensInDoubt(placements, misplaced, broken), problems);
  return { placements, order: setupOrder(placements, problems) };
}

function definitionAt(seat: Seat, problems: ProblemList): AnyPluginDefinition | undefined {
  const { value, path, failure } = seat;
  if (failure !== undefined) {
    problems.add(failure.code, path, failure.message, failure.cause);
    return undefined;
  }
  if (isConfiguredPlugin(value)) return isSound(value.definition, path, problems) ? value.definition : undefined;
  problems.add('PW_PLUGIN_INVALID', path, `This is ${describe(value)}, not a plugin. ${advice(value)}`);
  return undefined;
}

function advice(value: unknown): string {
  if (isPluginFactory(value)) return callIt(value);
  if (typeof value === 'string')
    return 'Names are for composeFrom; compose takes what a factory returns, as in btree().';
  return 'Pass what a plugin factory returns, as in btree().';
}

function checkKind(seat: Seat, definition: AnyPluginDefinition, problems: ProblemList): boolean {
  if (seat.slot.kinds.includes(definition.kind)) return true;
  const message = `${definition.name} is a plugin of kind "${definition.kind}". Put it under \`${slotOfKind(definition.kind).key}\`.`;
  problems.add('PW_PLUGIN_INVALID', seat.path, message);
  return false;
}

function checkNames(placements: readonly Placement[], problems: ProblemList): void {
  const names = new Map<string, string>();
  const types = new Map<string, Placement>();
  for (const placement of placements) {
    const { path, definition } = placement;
    const earlier = names.get(definition.name);
    if (earlier !== undefined) {
      problems.add(
        'PW_PLUGIN_DUPLICATE',
        path,
        `${definition.name} is there already, at ${earlier}. Leave one of them out.`,
      );
      continue;
    }
    names.set(definition.name, path);
    if (definition.kind !== 'index' || definition.type === undefined) continue;
    const rival = types.get(definition.type);
    if (rival === undefined) types.set(definition.type, placement);
    else {
      const message = `${definition.name} and ${rival.definition.name} (at ${rival.path}) both bring the index type "${definition.type}". Leave one of them out.`;
      problems.add('PW_PLUGIN_DUPLICATE', path, message);
    }
  }
}

/**
 * Tokens that may lack a provider only because of something that is reported already: those of broken seats and empty
 * slots, and those of plugins that stand in the wrong slot. A consequence is not reported beside its cause.
 */
function tokensInDoubt(
  placements: readonly Placement[],
  misplaced: readonly Placement[],
  broken: readonly Slot[],
): ReadonlySet<InjectionToken<unknown>> {
  const empty = SLOTS.filter((slot) => slot.required && !placements.some((placement) => placement.slot === slot));
  const tokens = [...broken, ...empty].flatMap((slot) => slot.kinds.map((kind) => TOKEN_OF_KIND[kind]));
  return new Set([
    ...tokens.filter((token) => token !== null),
    ...misplaced.flatMap((placement) => placement.definition.provides ?? []),
  ]);
}
