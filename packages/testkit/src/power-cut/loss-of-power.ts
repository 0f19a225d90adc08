/**
 * A directory as it is found when the power is back: what it was before the process began, and what the process's journal
 * says was durable; of the rest, what the loss leaves. A name is durable only when its directory was synced.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type JournalRecord, pathOf, pathsOf, rangeOf, readJournal } from './journal.js';
import type { Loss } from './loss.js';
import { VolatileFile } from './volatile-file.js';

const DIRECTORY = 'directory';

/** By path below the directory; the directory itself is `''`. */
type Names = Map<string, VolatileFile | typeof DIRECTORY>;

interface NameChange {
  /** The directories whose sync makes it durable. */
  readonly within: readonly string[];
  apply(names: Names): void;
}

/** Files and directories, by path below the one that lost power. */
export class DirectoryImage {
  constructor(
    readonly directories: readonly string[],
    readonly files: ReadonlyMap<string, Uint8Array>,
  ) {}

  /** Makes the directory, which must not be there yet, with all that is in it. */
  writeTo(directory: string): void {
    mkdirSync(directory);
    for (const path of this.directories) mkdirSync(join(directory, path));
    for (const [path, bytes] of this.files) writeFileSync(join(directory, path), bytes);
  }
}

/**
 * Rebuilds the directory for each of the losses.
 * @param before the directory as it was when the process began, all of it durable; not the one that the process changed
 * @param journal what the process's layer wrote
 */
export function lossOfPower(before: string, journal: Buffer, losses: readonly Loss[]): DirectoryImage[] {
  const records = [...readJournal(journal)];
  return losses.map((loss) => new Replay(before, records, loss).image());
}

class Replay {
  readonly #live: Names = new Map();
  readonly #durable: Names = new Map();
  readonly #files = new Map<number, VolatileFile>();
  #changes: NameChange[] = [];
  /** Errno of each sync that came back, by the sequence of its beginning. */
  readonly #outcomes = new Map<number, number>();
  /** Bytes that were written after all, by the sequence of the write. */
  readonly #cutShort = new Map<number, number>();

  constructor(
    before: string,
    records: readonly JournalRecord[],
    readonly loss: Loss,
  ) {
    this.#load(before, '');
    for (const { kind, reference, offset } of records) {
      if (kind === 'synced') this.#outcomes.set(reference, offset);
      else if (kind === 'cut-short') this.#cutShort.set(reference, offset);
    }
    for (const record of records) this.#replay(record);
  }

  image(): DirectoryImage {
    const names: Names = new Map(this.#durable);
    const kept = this.loss.names(this.#changes.length);
    for (const [at, change] of this.#changes.entries()) if (kept[at]) change.apply(names);
    const directories: string[] = [];
    const files = new Map<string, Uint8Array>();
    const isThere = (path: string): boolean =>
      path === '' || (names.get(path) === DIRECTORY && isThere(parentOf(path)));
    for (const [path, found] of [...names].sort(([one], [other]) => (one < other ? -1 : 1))) {
      if (!isThere(parentOf(path))) continue;
      if (found === DIRECTORY) directories.push(path);
      else files.set(path, found.after(this.loss));
    }
    return new DirectoryImage(directories, files);
  }

  #load(directory: string, path: string): void {
    for (const entry of readdirSync(join(directory, path), { withFileTypes: true })) {
      const below = `${path}/${entry.name}`;
      const found = entry.isDirectory() ? DIRECTORY : new VolatileFile(readFileSync(join(directory, below)));
      this.#live.set(below, found);
      this.#durable.set(below, found);
      if (found === DIRECTORY) this.#load(directory, below);
    }
  }

  #replay(record: JournalRecord): void {
    const { kind, object, offset, data } = record;
    if (kind === 'create') {
      const file = new VolatileFile();
      this.#files.set(object, file);
      this.#put(pathOf(record), file);
    } else if (kind === 'adopt') {
      const found = this.#live.get(pathOf(record));
      // One that has no name any more is found by nobody after the loss.
      this.#files.set(object, found instanceof VolatileFile ? found : new VolatileFile());
    } else if (kind === 'write') {
      const written = this.#cutShort.get(record.sequence) ?? data.length;
      if (written > 0) this.#file(record).write(offset, data.subarray(0, written));
    } else if (kind === 'resize') this.#file(record).resize(offset);
    else if (kind === 'extend') this.#file(record).extend(offset);
    else if (kind === 'sync' || kind === 'sync-directory') this.#sync(record, this.#outcomes.get(record.sequence));
    else if (kind === 'link') this.#put(pathsOf(record).to, this.#found(pathsOf(record).from));
    else if (kind === 'rename') this.#rename(pathsOf(record).from, pathsOf(record).to);
    else if (kind === 'make-directory') this.#put(pathOf(record), DIRECTORY);
    else if (kind === 'unlink' || kind === 'remove-directory') this.#remove(pathOf(record));
  }

  /** Comes where the sync was asked for: it covers nothing that came later. Undefined: it had not come back. */
  #sync(record: JournalRecord, errno: number | undefined): void {
    if (errno === undefined) return;
    const isOfAll = record.kind === 'sync' && record.object === 0;
    if (record.kind === 'sync-directory' || isOfAll) {
      if (errno !== 0) return;
      const path = pathOf(record);
      const isCovered = ({ within }: NameChange) => isOfAll || within.includes(path);
      for (const change of this.#changes) if (isCovered(change)) change.apply(this.#durable);
      this.#changes = this.#changes.filter((change) => !isCovered(change));
    }
    if (record.kind === 'sync-directory') return;
    for (const file of isOfAll ? this.#files.values() : [this.#file(record)]) {
      const range = isOfAll ? undefined : rangeOf(record);
      if (errno === 0) file.sync(range);
      else file.failSync(this.loss, range);
    }
  }

  #put(path: string, what: VolatileFile | typeof DIRECTORY): void {
    this.#change([path], (names) => names.set(path, what));
  }

  #remove(path: string): void {
    const what = this.#found(path);
    this.#change([path], (names) => {
      if (names.get(path) === what) names.delete(path);
    });
  }

  #rename(from: string, to: string): void {
    const what = this.#found(from);
    if (what === DIRECTORY) throw new Error(`The rename of a directory is not modelled: ${from}`);
    if (what === this.#live.get(to)) return; // two names of one file: POSIX leaves both
    this.#change([from, to], (names) => {
      if (names.get(from) === what) names.delete(from);
      names.set(to, what);
    });
  }

  #change(paths: readonly string[], apply: NameChange['apply']): void {
    apply(this.#live);
    this.#changes.push({ within: paths.map(parentOf), apply });
  }

  #found(path: string): VolatileFile | typeof DIRECTORY {
    const found = this.#live.get(path);
    if (found === undefined) throw new Error(`The journal of the power-cut layer names ${path}, which is not there.`);
    return found;
  }

  #file({ object }: JournalRecord): VolatileFile {
    const file = this.#files.get(object);
    if (file === undefined) throw new Error(`The journal of the power-cut layer has no file ${object}.`);
    return file;
  }
}

function parentOf(path: string): string {
  const parent = dirname(path);
  return parent === '/' ? '' : parent;
}
