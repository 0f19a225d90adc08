/**
 * An ext4 file system of its own, on a loop device, that can be cut off from it as by a loss of power, while a process
 * writes. What the device has is then what the kernel had written back, and recovery of the file system itself runs when
 * it is mounted again. All is done in a mount namespace of a shell that ends with this process, so that nothing stays behind.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { compileNative, type Obtained } from './native-programs.js';

type Shell = ChildProcessByStdio<Writable, Readable, null>;

/** Whether this system and user can have such a file system. Tries it, once in a process. */
export function canCutFileSystems(): Obtained<true> {
  possible ??= probe();
  return possible;
}

let possible: Obtained<true> | undefined;

export class CuttableFileSystem {
  /** Where it is mounted, in the namespace of {@link command} and nowhere else. */
  readonly directory: string;
  readonly #shell: Shell;
  readonly #answers: Interface;
  readonly #image: string;
  readonly #shutDown: string;

  /**
   * Makes and mounts one.
   * @param home an empty directory that its image and mount point go into
   */
  static async create(home: string, options: { readonly bytes: number }): Promise<CuttableFileSystem> {
    const shutDown = compileNative('shut-down');
    if (shutDown.missing !== undefined) throw new Error(shutDown.missing);
    const made = new CuttableFileSystem(home, shutDown.is);
    await made.#run(`truncate -s ${options.bytes} '${made.#image}' && mkfs.ext4 -q '${made.#image}'`);
    await made.#mount();
    return made;
  }

  private constructor(home: string, shutDown: string) {
    if (home.includes("'")) throw new Error(`${home} cannot be named in a shell command.`);
    this.directory = join(home, 'mount');
    this.#image = join(home, 'image');
    this.#shutDown = shutDown;
    mkdirSync(this.directory);
    this.#shell = spawn('unshare', ['--mount', '--propagation', 'private', 'sh'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#answers = createInterface(this.#shell.stdout);
  }

  /** A command and its arguments, as one that runs where the file system is mounted. */
  command(command: string, args: readonly string[]): { readonly command: string; readonly args: readonly string[] } {
    return { command: 'nsenter', args: [`--mount=/proc/${this.#shell.pid}/ns/mnt`, command, ...args] };
  }

  /** From now on nothing reaches the device, and whoever asks for anything gets EIO. */
  async cut(): Promise<void> {
    await this.#run(`'${this.#shutDown}' '${this.directory}'`);
  }

  /** The power is back: what was only in memory is gone. Nobody may have a file of it open. */
  async restore(): Promise<void> {
    await this.#run(`umount '${this.directory}'`);
    await this.#mount();
  }

  /** Copies a directory of the file system to one that is outside of it, and not there yet. */
  async copyOut(name: string, target: string): Promise<void> {
    await this.#run(`cp -R '${join(this.directory, name)}' '${target}'`);
  }

  /** Unmounts it. Its image stays. */
  async dispose(): Promise<void> {
    await this.#run(`umount '${this.directory}'`);
    const ended = once(this.#shell, 'close');
    this.#shell.stdin.end();
    await ended;
  }

  #mount(): Promise<void> {
    return this.#run(`mount -o loop '${this.#image}' '${this.directory}'`);
  }

  async #run(command: string): Promise<void> {
    const answered = once(this.#answers, 'line');
    this.#shell.stdin.write(`${command} >&2; echo $?\n`);
    const [status] = await answered;
    if (status !== '0') throw new Error(`${command} ended with ${status}.`);
  }
}

function probe(): Obtained<true> {
  if (process.platform !== 'linux') return { missing: `it is a matter of Linux, and this is ${process.platform}` };
  if (process.getuid?.() !== 0) return { missing: 'only root may mount a loop device' };
  const program = compileNative('shut-down');
  if (program.missing !== undefined) return program;
  const script = `set -e
    home=$(mktemp -d); trap 'rm -rf "$home"' EXIT; cd "$home"; mkdir mount; truncate -s 8M image
    mkfs.ext4 -q image; mount -o loop image mount; echo lost > mount/lost; '${program.is}' mount
    umount mount; mount -o loop image mount; test ! -e mount/lost; umount mount`;
  const { status, stderr, error } = spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script], {
    encoding: 'utf8',
  });
  if (status === 0) return { is: true };
  return {
    missing: `it does not work here: ${error?.message ?? (stderr.trim().split('\n')[0] || `status ${status}`)}`,
  };
}
