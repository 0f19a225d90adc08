/** Engines for benchmarks that do not do what they say. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The module of an engine that is `honest`, another module, except for what the code does to its `store` before it returns one. The code knows what the
 * store was opened with as `task`.
 */
export function writeLiar(directory: string, name: string, honest: string, code: string): string {
  const file = join(directory, `${name}.mjs`);
  writeFileSync(
    file,
    `import { engine as honest } from '${honest}';
    export const engine = {
      ...honest,
      async open(directory, task, ...rest) {
        const store = await honest.open(directory, task, ...rest);
        ${code}
      },
    };`,
  );
  return file;
}
