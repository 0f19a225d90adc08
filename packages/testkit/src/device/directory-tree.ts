/**
 * Names of files, and directories: as programs see them, as they are durable, and the changes in between. A change is
 * durable when every directory that it touches has been synced; a crash keeps any subset of the others.
 */
import { dirname } from 'node:path';
import type { StoredFile } from './stored-file.js';
import type { Survival } from './survival.js';

/** A change of one name, or of two that change together. */
export type NameChange =
  | { readonly kind: 'enter' | 'leave'; readonly path: string; readonly file: StoredFile }
  | { readonly kind: 'move'; readonly path: string; readonly to: string; readonly file: StoredFile }
  | { readonly kind: 'make' | 'unmake'; readonly path: string };

interface Names {
  readonly files: Map<string, StoredFile>;
  readonly directories: Set<string>;
}

interface Unsynced {
  readonly change: NameChange;
  /** Directories that were not synced since. */
  readonly awaits: Set<string>;
}

/** Directories that every device begins with, durable. */
const FIRST_DIRECTORIES = ['/', '/store'];

export class DirectoryTree {
  #live: Names = { files: new Map(), directories: new Set(FIRST_DIRECTORIES) };
  #durable: Names = { files: new Map(), directories: new Set(FIRST_DIRECTORIES) };
  #unsynced: Unsynced[] = [];

  file(path: string): StoredFile | undefined {
    return this.#live.files.get(path);
  }

  isDirectory(path: string): boolean {
    return this.#live.directories.has(path);
  }

  /** Paths of all files, sorted. */
  paths(): string[] {
    return [...this.#live.files.keys()].sort();
  }

  /** Every file that has a name, once. */
  files(): Set<StoredFile> {
    return new Set(this.#live.files.values());
  }

  /** Whether there is neither a file nor a directory in it. */
  isEmpty(directory: string): boolean {
    const inIt = (path: string): boolean => path !== '/' && dirname(path) === directory;
    return ![...this.#live.files.keys(), ...this.#live.directories].some(inIt);
  }

  change(change: NameChange): void {
    apply(change, this.#live);
    const touched = change.kind === 'move' ? [change.path, change.to] : [change.path];
    this.#unsynced.push({ change, awaits: new Set(touched.map(dirname)) });
  }

  syncDirectory(directory: string): void {
    for (const { awaits, change } of this.#unsynced) {
      if (awaits.delete(directory) && awaits.size === 0) apply(change, this.#durable);
    }
    this.#unsynced = this.#unsynced.filter(({ awaits }) => awaits.size > 0);
  }

  /** A file that was always there, and so were the directories above it. */
  put(path: string, file: StoredFile): void {
    for (const { directories } of [this.#live, this.#durable]) {
      for (let directory = dirname(path); directory !== dirname(directory); directory = dirname(directory)) {
        directories.add(directory);
      }
    }
    this.#live.files.set(path, file);
    this.#durable.files.set(path, file);
  }

  /** A file that never was there. */
  drop(path: string): void {
    this.#live.files.delete(path);
    this.#durable.files.delete(path);
  }

  /** How many unsynced versions each thing has, in the order in which {@link crashed} asks about them. */
  unsynced(): number[] {
    return [...this.#unsynced.map(() => 1), ...this.#reachable().flatMap((file) => file.unsynced())];
  }

  crashed(survives: Survival): DirectoryTree {
    const after = new DirectoryTree();
    const found: Names = {
      files: new Map(this.#durable.files),
      directories: new Set(this.#durable.directories),
    };
    for (const { change } of this.#unsynced) if (survives()) apply(change, found);
    const files = new Map(this.#reachable().map((file) => [file, file.crashed(survives)]));
    for (const directory of found.directories) {
      if (!isWithin(directory, found.directories)) found.directories.delete(directory);
    }
    for (const [path, file] of found.files) {
      if (found.directories.has(dirname(path))) after.#live.files.set(path, files.get(file) as StoredFile);
    }
    after.#live = { ...after.#live, directories: found.directories };
    after.#durable = { files: new Map(after.#live.files), directories: new Set(found.directories) };
    return after;
  }

  clone(): DirectoryTree {
    const copy = new DirectoryTree();
    const copies = new Map<StoredFile, StoredFile>();
    const copyOf = (file: StoredFile): StoredFile => {
      const known = copies.get(file) ?? file.clone();
      copies.set(file, known);
      return known;
    };
    const namesOf = ({ files, directories }: Names): Names => ({
      files: new Map([...files].map(([path, file]) => [path, copyOf(file)])),
      directories: new Set(directories),
    });
    copy.#live = namesOf(this.#live);
    copy.#durable = namesOf(this.#durable);
    copy.#unsynced = this.#unsynced.map(({ change, awaits }) => ({
      change: 'file' in change ? { ...change, file: copyOf(change.file) } : change,
      awaits: new Set(awaits),
    }));
    return copy;
  }

  /** All that makes up its state, as byte strings in a fixed order. */
  *state(): Iterable<Uint8Array | string> {
    for (const { files, directories } of [this.#live, this.#durable]) {
      yield [...directories].sort().join('\n');
      for (const [path, file] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
        yield path;
        yield* file.state();
      }
    }
    for (const { change, awaits } of this.#unsynced) {
      yield `${change.kind} ${change.path} ${change.kind === 'move' ? change.to : ''} ${[...awaits].join()}`;
    }
  }

  /** Files that may have a name after a crash, in the order in which they came to be known. */
  #reachable(): StoredFile[] {
    const changed = this.#unsynced.flatMap(({ change }) => ('file' in change ? [change.file] : []));
    return [...new Set([...this.#durable.files.values(), ...changed])];
  }
}

function apply(change: NameChange, { files, directories }: Names): void {
  switch (change.kind) {
    case 'enter':
      files.set(change.path, change.file);
      break;
    case 'leave':
      files.delete(change.path);
      break;
    case 'move':
      if (files.get(change.path) === change.file) files.delete(change.path);
      files.set(change.to, change.file);
      break;
    case 'make':
      directories.add(change.path);
      break;
    case 'unmake':
      directories.delete(change.path);
      break;
  }
}

/** Whether all the directories above it are there. */
function isWithin(directory: string, directories: ReadonlySet<string>): boolean {
  for (let path = directory; path !== dirname(path); path = dirname(path)) if (!directories.has(path)) return false;
  return true;
}
