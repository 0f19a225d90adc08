/**
 * Power cuts by the kernel itself: the writer works on an ext4 file system that is cut off from its device under it. What
 * the device has by then is what the kernel and the file system make of it; the check opens a copy, and the next writer
 * recovers on the file system.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../random.js';
import { CuttableFileSystem } from './cuttable-file-system.js';
import { type PowerCutOptions, PowerCuts, type RoundSummary, STORE } from './power-cuts.js';

const BYTES = 128 * 2 ** 20;

export class FileSystemPowerCuts extends PowerCuts {
  #fileSystem: CuttableFileSystem | undefined;

  // biome-ignore lint/complexity/noUselessConstructor: that of the base class is protected
  constructor(options: PowerCutOptions) {
    super(options);
  }

  protected async cut(random: Random): Promise<RoundSummary> {
    const { home, subject } = this.options;
    this.#fileSystem ??= await CuttableFileSystem.create(home, { bytes: BYTES });
    const fileSystem = this.#fileSystem;
    const writer = subject.writer(join(fileSystem.directory, STORE));
    const lines = await this.write(random, fileSystem.command(writer.command, writer.args), {
      end: async (kill) => {
        await fileSystem.cut();
        kill();
      },
    });
    await fileSystem.restore();
    const after = join(home, 'after');
    rmSync(after, { recursive: true, force: true });
    await fileSystem.copyOut('.', after);
    await this.check(after, 'the file system was cut off', true);
    return { lines, checked: 1 };
  }

  override async dispose(options: { readonly keepFiles?: boolean } = {}): Promise<void> {
    await this.#fileSystem?.dispose();
    await super.dispose(options);
  }
}
