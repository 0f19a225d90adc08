/**
 * `npm run soak -- --minutes N --seed S`: looks for faults for as long as it is given, with all parts or with `--only`
 * some, as many at a time as there are processors. It ends with a table of what was done and what was found, and with exit
 * code 1 if that is anything. The same seed does the same work, as far as it comes in the time.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Counts, Finding, Part, PartResult } from './part.js';
import { PARTS } from './parts.js';
import type { FromPart } from './run-part.js';

const USAGE = `npm run soak -- [--minutes N] [--seed S] [--only part]… [--lanes N]

  --minutes  how long the whole run takes, of all parts together (10)
  --seed     what all that is random follows from (another one in each run; it is printed)
  --only     a part; several by repeating it (all)
  --lanes    how many parts run at a time (as many as there are processors)

Exit codes: 0 nothing was found, 1 something was, 2 the arguments are wrong. Parts:

${PARTS.map(({ name, does }) => `  ${name.padEnd(10)} ${does}`).join('\n')}`;

const values = argumentsOf();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const minutes = numberOf('minutes', values.minutes, (number) => number > 0, 'a number above 0');
const seed = numberOf('seed', values.seed, (number) => Number.isSafeInteger(number) && number >= 0, 'a whole number');
const lanes = numberOf(
  'lanes',
  values.lanes,
  (number) => Number.isSafeInteger(number) && number > 0,
  'a whole number above 0',
);
const chosen = partsOf(values.only);

/** Parts that do not end by themselves this long after their time are hanging. */
const GRACE_MINUTES = 5;
const PROGRESS_MS = 60_000;

const startedAt = Date.now();
const running = Math.min(lanes, chosen.length);
console.log(
  `soak: ${chosen.length} parts, ${running} at a time, ${minutes} minutes, seed ${seed}, Node.js ${process.versions.node}`,
);

const results = new Map<string, PartResult & { readonly minutes: number }>();
await Promise.all(
  Array.from({ length: running }, async (_, lane) => {
    // Parts are dealt out as cards are, and those of a lane share the time: all lanes end together.
    const parts = chosen.filter((_, i) => i % running === lane);
    for (const part of parts) {
      const began = Date.now();
      const result = await runPart(part, minutes / parts.length);
      results.set(part.name, { ...result, minutes: (Date.now() - began) / 60_000 });
    }
  }),
);
summarize();

function runPart(part: Part, minutesEach: number): Promise<PartResult> {
  const program = fileURLToPath(new URL('./run-part.js', import.meta.url));
  const child = fork(program, [part.name, String(minutesEach), String(seed)], { execArgv: [] });
  let counts: Counts = {};
  let result: PartResult | null = null;
  const progress = setInterval(() => console.log(`${part.name}: ${lineOf(counts)}`), PROGRESS_MS);
  let hangs = false;
  const guard = setTimeout(
    () => {
      hangs = true;
      child.kill('SIGKILL');
    },
    (minutesEach + GRACE_MINUTES) * 60_000,
  );
  child.on('message', (message: FromPart) => {
    if ('result' in message) result = message.result;
    else counts = message.progress;
  });
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      clearInterval(progress);
      clearTimeout(guard);
      if (result !== null) return resolve(result);
      const how = hangs ? 'did not come to an end' : `ended with ${signal ?? `code ${code}`}`;
      const again = `npm run soak -- --only ${part.name} --minutes ${minutesEach} --seed ${seed}`;
      resolve({ counts, findings: [{ message: `the process of ${part.name} ${how}`, again }] });
    });
  });
}

function summarize(): void {
  const findings: (Finding & { part: string })[] = [];
  console.log(`\nAfter ${((Date.now() - startedAt) / 60_000).toFixed(1)} minutes, with seed ${seed}:\n`);
  for (const { name } of chosen) {
    const result = results.get(name) as PartResult & { readonly minutes: number };
    console.log(`${name.padEnd(10)} ${result.minutes.toFixed(1)} min  ${lineOf(result.counts)}`);
    for (const finding of result.findings) findings.push({ part: name, ...finding });
  }
  console.log(`\n${findings.length} findings`);
  for (const { part, message, again } of findings) console.log(`\n${part}: ${message}\n  again: ${again}`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}

function lineOf(counts: Counts): string {
  return Object.entries(counts)
    .map(([name, count]) => `${count.toLocaleString('en')} ${name}`)
    .join(', ');
}

function partsOf(names: readonly string[] | undefined): readonly Part[] {
  const unknown = (names ?? []).find((name) => PARTS.every((part) => part.name !== name));
  if (unknown !== undefined)
    fail(`There is no part ${unknown}; there are: ${PARTS.map(({ name }) => name).join(', ')}.`);
  return names === undefined ? PARTS : PARTS.filter(({ name }) => names.includes(name));
}

function argumentsOf() {
  try {
    return parseArgs({
      options: {
        minutes: { type: 'string', default: '10' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
        only: { type: 'string', multiple: true },
        lanes: { type: 'string', default: String(availableParallelism()) },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    fail(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function numberOf(option: string, text: string, isRight: (number: number) => boolean, what: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!isRight(number)) fail(`--${option} is '${text}'; it must be ${what}.`);
  return number;
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
