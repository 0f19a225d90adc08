/** Files whose writes fail while a word says so, in whatever thread. */
import { type IoBackend, type IoFile, type IoModule, type OpenFlags, PagewrightError } from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';

interface Options {
  readonly broken: SharedArrayBuffer;
  readonly url: string;
}

export class FailingWrites extends NodeFiles {
  constructor(
    private readonly broken: Int32Array,
    /** Of this file, as a program. */
    private readonly url: string,
  ) {
    super();
  }

  override get module(): IoModule {
    return { url: this.url, options: { broken: this.broken.buffer, url: this.url } };
  }

  override async open(path: string, flags: OpenFlags): Promise<IoFile> {
    const file = await super.open(path, flags);
    const submitSync = file.submitSync.bind(file);
    file.submitSync = (operations, options) => {
      if (Atomics.load(this.broken, 0) === 1 && operations.some(({ kind }) => kind === 'write'))
        throw new PagewrightError('PW_IO', `Writes of ${path} are to fail.`);
      submitSync(operations, options);
    };
    return file;
  }
}

export default ({ broken, url }: Options): IoBackend => new FailingWrites(new Int32Array(broken), url);
