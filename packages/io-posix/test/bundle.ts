/** One of the programs of this folder as plain JavaScript, so that a process or thread of its own can run it. */
import path from 'node:path';
import { build } from 'vite';

/** Bundles `program` of this folder, with the sources that it imports, into `directory`, under this name. Returns the file. */
export async function bundle(program: string, directory: string, name = 'program.mjs'): Promise<string> {
  await build({
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['@pagewright/source'] },
    ssr: { noExternal: true, resolve: { conditions: ['@pagewright/source'] } },
    build: {
      ssr: path.join(import.meta.dirname, program),
      outDir: directory,
      emptyOutDir: false,
      minify: false,
      rolldownOptions: { output: { entryFileNames: name, codeSplitting: false } },
    },
  });
  return path.join(directory, name);
}
