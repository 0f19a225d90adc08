/** The programs of this package's tests as plain JavaScript, with the sources that they import, to be run in a process of their own. */
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'vite';

const REPOSITORY = join(import.meta.dirname, '../../..');

/** Bundles a program of the folder `programs` into the directory. Packages that are not of this repository are left to the process. Returns the file. */
export async function bundled(program: string, directory: string): Promise<string> {
  const name = `${program}.mjs`;
  await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['@pagewright/source'] },
    ssr: { noExternal: true, external: ['abstract-level', 'tape'], resolve: { conditions: ['@pagewright/source'] } },
    build: {
      ssr: join(import.meta.dirname, 'programs', `${program}.ts`),
      outDir: directory,
      emptyOutDir: false,
      minify: false,
      rolldownOptions: { output: { entryFileNames: name, codeSplitting: false } },
    },
  });
  await symlink(join(REPOSITORY, 'node_modules'), join(directory, 'node_modules')).catch((error) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return join(directory, name);
}
