/** What READMEs show of parts that are used alone, and what the guide shows, is run as it stands there, each program in a process of its own. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UringFiles } from '@pagewright/io-uring';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

function blocksOf(text: string): string[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, block]) => block as string);
}

/** All TypeScript that is shown under a heading of a README. */
async function shownIn(file: string, heading: string): Promise<string> {
  const text = await readFile(join(REPOSITORY, file), 'utf8');
  const section = text.split(/^#{2,3} /m).find((part) => part.startsWith(`${heading}\n`));
  const blocks = blocksOf(section ?? '');
  expect(blocks, `TypeScript under '${heading}' in ${file}`).not.toEqual([]);
  return blocks.join('\n');
}

/** Of several blocks the one that makes a store, which alone is a program. */
function storeOf(shown: string): string {
  const begin = shown.indexOf('import { BufferPool }');
  expect(begin).toBeGreaterThan(0);
  return shown.slice(begin, shown.indexOf('\n};\n', begin) + 4);
}

/** What a program writes to the standard output. Errors: what it wrote to the other one, if it does not end well. */
async function outputOf(program: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'pagewright-readme-'));
  try {
    const target = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
    const { outputText } = ts.transpileModule(program, { compilerOptions: target });
    await writeFile(join(directory, 'shown.mjs'), outputText);
    await symlink(join(REPOSITORY, 'node_modules'), join(directory, 'node_modules'));
    const { stdout } = await run(process.execPath, ['shown.mjs'], { cwd: directory });
    return stdout;
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('what a README shows runs as it stands there', () => {
  test('a log alone', async () => {
    expect(await outputOf(await shownIn('packages/wal/README.md', 'Alone'))).toBe('');
  });

  test('a commit policy, which breaks nothing of what its suite asks', async () => {
    const shown = await shownIn('packages/wal/README.md', 'In an engine');
    const program = `${shown}
      import { brokenClauses, commitPolicySuite } from '@pagewright/testkit';
      console.log(await brokenClauses(commitPolicySuite, { create: () => eager }, { shares: true, timerless: true }));`;
    expect(await outputOf(program)).toBe('[]\n');
  });

  test('rounds of schedules, of parts of one’s own', async () => {
    const shown = await shownIn('docs/testing/schedules.md', 'Your own parts');
    expect(await outputOf(`${shown}\nconsole.log(both.rounds);`)).toBe('4\n');
  });

  test('the store that an index is tested on', async () => {
    const program = `${await shownIn('docs/guide/writing-a-plugin.md', 'Testing an index').then(storeOf)}
      import { brokenClauses, INDEX_SUITE } from '@pagewright/testkit';
      import { BtreeType } from '@pagewright/index-btree';
      const subject = { create: () => ({ type: new BtreeType(), store }) };
      console.log(await brokenClauses(INDEX_SUITE, subject, { pages: true, store: true }, new Set(['real-store'])));`;
    expect(await outputOf(program)).toBe('[]\n');
  });

  test('transactions alone, over a Map', async () => {
    const output = await outputOf(await shownIn('packages/mvcc/README.md', 'Alone'));
    expect(output).toMatch(/^true 1\nfalse\n$/);
  });

  test('the default engine', async () => {
    const output = await outputOf(await shownIn('packages/pagewright/README.md', '# pagewright'));
    expect(output).toBe("1 [ [ 'ada', 1 ] ]\n");
  });

  test('the default engine in two threads', async () => {
    const heading = '`share()` and `attach(handle, options?)`';
    expect(await outputOf(await shownIn('packages/pagewright/README.md', heading))).toBe('1\n');
  });

  test('a Level database', async () => {
    const output = await outputOf(await shownIn('packages/level/README.md', 'Use'));
    expect(output).toBe("{ name: 'Ada' } 0\nvisits 0\n1 [ '1', '2' ]\n");
  });

  test('a page store alone', async () => {
    const output = await outputOf(await shownIn('packages/bufferpool/README.md', 'Alone, without an engine'));
    expect(output).toBe(`${Math.PI}\n`);
  });

  test('files by io_uring alone, and an engine on them', async ({ skip }) => {
    const probed = new UringFiles().probe();
    skip(!probed.supported, probed.reason);
    const alone = await shownIn('packages/io-uring/README.md', 'Alone, without an engine');
    expect(await outputOf(`${alone}\nconsole.log(page[0], page[4095]);`)).toBe('2 2\n');
    const engine = await shownIn('packages/io-uring/README.md', 'In an engine');
    expect(await outputOf(`${engine}\nconsole.log(io, skippedIo.length);`)).toBe('@pagewright/io-uring 0\n');
  });

  test('a page store alone with a policy that is not its own', async () => {
    const program = `${await shownIn('packages/bufferpool/README.md', 'Options')}
      import { brokenClauses, replacementSuite } from '@pagewright/testkit';
      console.log(await brokenClauses(replacementSuite, { create: () => byChance }, {}));
      import { NodeFiles } from '@pagewright/io-posix';
      await withChance.open({ path: './pages.pw', io: new NodeFiles(), create: true, errorIfExists: true, readOnly: false });
      console.log(withChance.share().shape.replacement);
      await withChance.close();`;
    expect(await outputOf(program)).toBe('[]\nchance\n');
  });
});

const GUIDE = blocksOf(readFileSync(join(REPOSITORY, 'docs/guide/using.md'), 'utf8'));

describe('each block of the guide is a whole program', () => {
  test.each(GUIDE.map((program, number) => [number + 1, program] as const))('block %i', async (_, program) => {
    await outputOf(program);
  });
});
