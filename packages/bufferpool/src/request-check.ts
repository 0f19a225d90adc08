/**
 * What a pool that is used alone is asked for, before anything of it begins: an engine's requests are right, and what somebody
 * writes by hand need not be. Each answers the error `PW_ARGUMENT`, or null.
 */
import {
  type BackupRequest,
  type CheckpointMark,
  type CheckpointSteps,
  type CompactRequest,
  type LogMark,
  type PageStoreAttachRequest,
  type PageStoreOpenRequest,
  PagewrightError,
} from '@pagewright/core/contracts';

type Problem = PagewrightError | null;
type Kind = 'function' | 'function, or nothing' | 'boolean' | 'boolean, or nothing' | 'path' | 'backend of files';

export function problemOfOpen(request: PageStoreOpenRequest): Problem {
  return problemOf('open()', request, {
    path: 'path',
    io: 'backend of files',
    create: 'boolean',
    errorIfExists: 'boolean',
    readOnly: 'boolean',
  });
}

export function problemOfAttach(request: PageStoreAttachRequest): Problem {
  return problemOf('attach()', request, { io: 'backend of files' });
}

export function problemOfCheckpoint(steps: CheckpointSteps): Problem {
  return problemOf('checkpoint()', steps, {
    gate: 'function',
    secureLog: 'function',
    advanced: 'function, or nothing',
  });
}

export function problemOfVerify(request: unknown): Problem {
  return problemOfAll('verify()', request, {
    begin: 'function',
    visible: 'function',
    report: 'function',
    advanced: 'function',
  });
}

export function problemOfBackup(request: BackupRequest): Problem {
  return problemOfAll('backup()', request, { path: 'path', io: 'backend of files', advanced: 'function' });
}

export function problemOfCompact(request: CompactRequest): Problem {
  return problemOfAll('compact()', request, {
    tailOnly: 'boolean, or nothing',
    checkpoint: 'function',
    advanced: 'function',
  });
}

/** What the gate of a checkpoint answered, and the mark of the one before. Errors: `PW_ARGUMENT`; nothing has happened then. */
export function assertMark(mark: unknown, { timestamp: least }: CheckpointMark): void {
  const { timestamp, log } = (mark ?? {}) as { readonly timestamp?: unknown; readonly log?: Partial<LogMark> | null };
  if (!(Number.isSafeInteger(timestamp) && (timestamp as number) >= least)) {
    throw new PagewrightError(
      'PW_ARGUMENT',
      `gate() of a checkpoint gave the timestamp ${String(timestamp)}. It returns, at once, { timestamp, log }: a timestamp is a whole number, and never below that of the checkpoint before, which is ${least}.`,
      { details: { timestamp, least } },
    );
  }
  const { incarnation, segment, offset } = log ?? {};
  if (isUint32(incarnation) && isUint32(segment) && Number.isSafeInteger(offset) && (offset as number) >= 0) return;
  throw new PagewrightError(
    'PW_ARGUMENT',
    'gate() of a checkpoint gave a log that is no mark: { incarnation, segment, offset }, whole numbers from 0 up. Where there is no log it is NO_LOG.',
    { details: { log } },
  );
}

function isUint32(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}

/** Errors: `PW_ARGUMENT` for what is no frame of so many. */
export function assertFrame(frame: number, frames: number): void {
  if (Number.isInteger(frame) && frame >= 0 && frame < frames) return;
  throw new PagewrightError(
    'PW_ARGUMENT',
    `${String(frame)} is no frame of a pool of ${frames}. Give what child() or allocate() returned.`,
    { details: { frames } },
  );
}

function problemOf(call: string, request: unknown, fields: Readonly<Record<string, Kind>>): Problem {
  const names = Object.keys(fields).join(', ');
  if (typeof request !== 'object' || request === null) {
    const given = request === null ? 'null' : `of type ${typeof request}`;
    return new PagewrightError('PW_ARGUMENT', `What ${call} was given is ${given}. Give an object with: ${names}.`);
  }
  for (const [field, kind] of Object.entries(fields)) {
    const value = (request as Record<string, unknown>)[field];
    if (isOfKind(value, kind)) continue;
    const given = value === null ? 'null' : `of type ${typeof value}`;
    return new PagewrightError('PW_ARGUMENT', `${field} of what ${call} was given is ${given}; it must be a ${kind}.`, {
      details: { field },
    });
  }
  return null;
}

/** The same, for calls that an engine has as well, with signals and callbacks that would be thought to count. */
function problemOfAll(call: string, request: unknown, fields: Readonly<Record<string, Kind>>): Problem {
  const problem = problemOf(call, request, fields);
  if (problem !== null) return problem;
  const other = Object.keys(request as object).find((name) => !Object.hasOwn(fields, name));
  if (other === undefined) return null;
  const names = Object.keys(fields).join(', ');
  return new PagewrightError('PW_ARGUMENT', `${call} takes no '${other}'. It takes: ${names}.`, {
    details: { field: other },
  });
}

function isOfKind(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case 'function':
      return typeof value === 'function';
    case 'function, or nothing':
      return value === undefined || typeof value === 'function';
    case 'boolean':
      return typeof value === 'boolean';
    case 'boolean, or nothing':
      return value === undefined || typeof value === 'boolean';
    case 'path':
      return typeof value === 'string' && value !== '';
    case 'backend of files':
      return typeof (value as { readonly open?: unknown } | null | undefined)?.open === 'function';
  }
}
