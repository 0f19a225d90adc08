/**
 * What a pool that is used alone is asked for, before anything of it begins: an engine's requests are right, and what somebody
 * writes by hand need not be. Each answers the error `PW_ARGUMENT`, or null.
 */
import {
  type BackupRequest,
  type CheckpointSteps,
  type CompactRequest,
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
  return problemOf('verify()', request, {
    begin: 'function',
    visible: 'function',
    report: 'function',
    advanced: 'function',
  });
}

export function problemOfBackup(request: BackupRequest): Problem {
  return problemOf('backup()', request, { path: 'path', io: 'backend of files', advanced: 'function' });
}

export function problemOfCompact(request: CompactRequest): Problem {
  return problemOf('compact()', request, {
    tailOnly: 'boolean, or nothing',
    checkpoint: 'function',
    advanced: 'function',
  });
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
