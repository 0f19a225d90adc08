/** Policies and translations that a pool was given, by who makes it himself: each has a name, says what memory its state takes, and can be attached to it. */
import { PagewrightError } from '@pagewright/core/contracts';

/** Errors: `PW_OPTION_INVALID` for what is no list of such parts. */
export function assertParts(types: unknown, option: 'replacement' | 'translation'): void {
  if (!Array.isArray(types)) {
    throw wrong(option, `What a pool may choose its ${option} from is no list, but of type ${typeof types}.`);
  }
  for (const type of types as readonly (Record<string, unknown> | null | undefined)[]) {
    const isPart =
      typeof type?.name === 'string' && typeof type.stateBytes === 'function' && typeof type.attach === 'function';
    if (isPart) continue;
    const named = typeof type?.name === 'string' ? ` ("${type.name}")` : '';
    throw wrong(
      option,
      `What a pool may choose its ${option} from has one${named} without name, stateBytes() or attach().`,
    );
  }
}

/** Memory for what a part keeps. Errors: `PW_PLUGIN_INVALID` if it asks for what cannot be. */
export function stateMemory(part: string, bytes: number): SharedArrayBuffer {
  if (Number.isSafeInteger(bytes) && bytes >= 0) return new SharedArrayBuffer(bytes);
  throw new PagewrightError(
    'PW_PLUGIN_INVALID',
    `The ${part} asks for ${String(bytes)} bytes for its state: \`stateBytes\` gives a whole number from 0 on. This is its author's to correct.`,
    { details: { part, bytes } },
  );
}

function wrong(option: string, message: string): PagewrightError {
  return new PagewrightError('PW_OPTION_INVALID', message, { details: { option } });
}
