/**
 * A composed engine that is not open yet: plugins that go together, with options that they accept. It holds no part and no
 * file, so one blueprint opens any number of stores, each with parts of its own.
 */

import { type AttachOptions, attachEngine } from '../engine/attach.js';
import type { Engine } from '../engine/engine.js';
import type { EngineHandle } from '../engine/engine-handle.js';
import { type OpenOptions, openEngine } from '../engine/open.js';
import type { EngineParts } from '../engine/parts.js';
import { checkRestoreOptions, type RestoreOptions, type RestoreReport, restoreStore } from '../engine/restore.js';
import { PagewrightError } from '../errors.js';
import type { PluginKind } from '../plugin.js';
import { assemble, closeAfter } from './assembly.js';
import { toPlainData } from './plain-data.js';
import type { Plan } from './plan.js';

/** One plugin of a blueprint, as data. */
export interface PluginDescription {
  /** Where it stands in the config: `pages`, `indexes[1]`. */
  readonly path: string;
  readonly name: string;
  readonly kind: PluginKind;
  /** Which type of index it brings; null for other kinds. */
  readonly type: string | null;
  /** With the defaults filled in. What is not data (functions, buffers) is named in brackets: `[Uint8Array]`. */
  readonly options: unknown;
}

/** An I/O plugin that was passed over, and why. */
export interface SkippedIo {
  readonly name: string;
  readonly reason: string;
}

/** What an open engine is made of. */
export interface Composition {
  /** The I/O plugin in use. */
  readonly io: string;
  /** Those before it in the config, which do not work on this machine. */
  readonly skippedIo: readonly SkippedIo[];
  /** The plugins of its blueprint. */
  readonly plugins: readonly PluginDescription[];
}

/** Made by `compose` and `composeFrom`. `Type` is the union of the types of index that its engines know. */
export class Blueprint<Type extends string = string> {
  readonly #plan: Plan;

  /** @internal */
  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /**
   * Sets up fresh parts and opens the store at `path` (`app.pw`; its log is beside it, in `app.pw-wal`). If that fails,
   * all that was opened on the way is closed before the promise rejects.
   *
   * Errors, before any file is opened: `PW_ARGUMENT` for what is no path, `PW_UNSUPPORTED` with the reasons of all I/O plugins, `PW_PLUGIN_INVALID` if a plugin
   * does not do what its definition says. Then those of opening: `PW_NOT_FOUND`, `PW_EXISTS`, `PW_NOT_A_STORE`,
   * `PW_FORMAT_VERSION`, `PW_PAGE_SIZE`, `PW_LOCKED`, `PW_PERMISSION`, `PW_CORRUPT_FILE`, `PW_CORRUPT_LOG`, `PW_IO`, `PW_FULL`.
   */
  async open(path: string, options: OpenOptions = {}): Promise<Engine<Type>> {
    if (typeof path !== 'string' || path === '' || path.includes('\0')) {
      throw new PagewrightError(
        'PW_ARGUMENT',
        `${JSON.stringify(path)} is no path of a store. Pass text, as in './app.pw'.`,
        {
          details: { path },
        },
      );
    }
    return this.#engine((parts) => openEngine<Type>(parts, path, options));
  }

  /**
   * In another thread of the process: joins the engine whose `share()` returned the handle, with fresh parts over the same memory. The blueprint is one of the same
   * config. The engine has the same API; closing it leaves the store open for the others.
   *
   * Errors: `PW_ARGUMENT` for what is no handle, or one of other parts; `PW_OPTION_INVALID`, `PW_CLOSED` if the store was closed, `PW_THREAD_LOST`, `PW_UNSUPPORTED` and
   * `PW_PLUGIN_INVALID` as of {@link open}, `PW_IO`.
   */
  async attach(handle: EngineHandle, options: AttachOptions = {}): Promise<Engine<Type>> {
    return this.#engine((parts) => attachEngine<Type>(parts, handle, options));
  }

  /**
   * Makes a store of a backup and of what was archived of the log since (the option `archive` of the log), as it was after any commit from the backup's end
   * on. It is closed, as after `close()`; open it like any other. It has the id of the store, because it is the same at an earlier time; if it is to be
   * archived, give it an archive of its own, and make a backup of it first.
   *
   * The store has its name when all of it is durable: until then it is `….pw-part`, beside. Every page of the backup is held against its checksum. Memory: that
   * of the page store, twice, the largest record, and the largest segment if the archive is no directory.
   *
   * Errors, all of which leave nothing at the path: `PW_ARGUMENT`, `PW_EXISTS`, `PW_NOT_FOUND` (the backup, or the directory), `PW_RESTORE_POINT`, `PW_ARCHIVE_GAP`,
   * `PW_CORRUPT_LOG` (with segment and offset), those of opening the backup, `PW_LOCKED`, `PW_FULL`, `PW_IO`, `PW_INDEX_UNKNOWN` if an index that the archive
   * changes is of a type that no plugin brings, `PW_UNSUPPORTED`, the reason of the signal, what `onProgress` and the archive throw.
   */
  async restore(options: RestoreOptions): Promise<RestoreReport> {
    checkRestoreOptions(options);
    const reading = await assemble(this.#plan);
    try {
      const writing = await assemble(this.#plan);
      try {
        return await restoreStore(reading.parts, writing.parts, options);
      } finally {
        await writing.parts.teardown.close();
      }
    } finally {
      await reading.parts.teardown.close();
    }
  }

  /** The plugins, in the order of the config, as plain data: for logs, reports and `JSON.stringify`. Shows all options. */
  describe(): readonly PluginDescription[] {
    return this.#plan.placements.map(({ path, definition, options }) => ({
      path,
      name: definition.name,
      kind: definition.kind,
      type: definition.type ?? null,
      options: toPlainData(options),
    }));
  }

  /** An engine of fresh parts. */
  async #engine(begin: (parts: EngineParts) => Promise<Engine<Type>>): Promise<Engine<Type>> {
    const { parts, io, skippedIo } = await assemble(this.#plan);
    let engine: Engine<Type>;
    try {
      engine = await begin(parts);
    } catch (error) {
      throw await closeAfter(error, parts.teardown);
    }
    compositions.set(engine, { io, skippedIo, plugins: this.describe() });
    return engine;
  }
}

const compositions = new WeakMap<object, Composition>();

/** What an engine that a blueprint opened is made of; undefined for any other object. */
export function compositionOf(engine: object): Composition | undefined {
  return compositions.get(engine);
}
