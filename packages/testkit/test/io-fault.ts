/** A backend with one fault, as it is easily written, and the clauses that should find it. */
import type { IoBackend, IoFile, OpenFlags } from '@pagewright/core';

export interface PlantedFault {
  readonly what: string;
  /** Ids of the clauses that it breaks; of no others, but for those that take long, of which only what is named here is looked at. */
  readonly breaks: readonly string[];
  /** What is different of each file that is opened. */
  readonly file?: (file: IoFile, flags: OpenFlags, backend: IoBackend) => Partial<IoFile>;
  /** What is different of the backend. */
  readonly backend?: (backend: IoBackend) => Partial<IoBackend>;
}

/** The backend with the fault. */
export function faulty(sound: IoBackend, { file, backend }: PlantedFault): IoBackend {
  const opening: Partial<IoBackend> = {
    open: async (path, flags) => {
      const opened = await sound.open(path, flags);
      return file === undefined ? opened : changed(opened, file(opened, flags, sound));
    },
  };
  return changed(sound, { ...opening, ...backend?.(sound) });
}

/** Behaves like the target, but for what is given. */
export function changed<Target extends object>(target: Target, changes: Partial<Target>): Target {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(name in changes ? changes : target, name);
      return typeof value === 'function' && !(name in changes) ? value.bind(target) : value;
    },
  });
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Reads and writes of one file, both forms changed alike. */
export function transfers(
  kind: 'read' | 'write',
  change: (buffer: Uint8Array, offset: number) => unknown,
): Partial<IoFile> {
  const both = kind === 'read' ? (['read', 'readSync'] as const) : (['write', 'writeSync'] as const);
  return {
    [both[0]]: async (buffer: Uint8Array, offset: number) => void change(buffer, offset),
    [both[1]]: change,
  };
}
