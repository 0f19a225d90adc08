/**
 * The fuzzing part of the soak run: `fuzzFor` tries damaged inputs on every decoder that reads from disk, in a thread that
 * is watched. An input that hangs, or ends the thread, is a finding like any other, and the run goes on behind it.
 *
 * Alone: `node soak/dist/fuzz/main.js --minutes 1 --seed 7`, and `--target <name> --input <number>` tries one input again,
 * in its smallest form.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { minimize, replay } from '@pagewright/testkit';
import { ALL_TARGETS } from './all-targets.js';
import type { FuzzSummary as RunSummary, TargetTotal } from './run-all.js';
import type { SentFinding, SentSummary, WorkerMessage, WorkerRequest } from './worker.js';

/** What came of a run. */
export interface FuzzSummary extends Omit<RunSummary, 'findings'> {
  readonly findings: readonly SentFinding[];
}

/** An input that takes longer hangs. The slowest, a whole store, takes some milliseconds. */
const HANG_MS = 60_000;
const WATCH_EVERY_MS = 5_000;

/** Fuzzes all targets for so many minutes, in all. The same seed tries the same inputs, as far as the time goes. */
export async function fuzzFor(
  minutes: number,
  seed: number,
  onProgress: (soFar: FuzzSummary) => void = () => {},
): Promise<FuzzSummary> {
  const begun = performance.now();
  let done: FuzzSummary = { seed, minutes: 0, inputs: 0, inputsPerSecond: 0, targets: [], findings: [] };
  for (let attempt = 0; ; attempt++) {
    const left = minutes - (performance.now() - begun) / 60_000;
    if (left <= 0) return done;
    const before = done;
    const part = await watch(left, seed + attempt, (soFar) => onProgress(joined(before, soFar)));
    done = joined(before, part.summary);
    onProgress(done);
    if (part.isOver) return done;
  }
}

interface Part {
  readonly summary: SentSummary;
  /** False: the thread was ended, or ended by itself. */
  readonly isOver: boolean;
}

/** One thread, until it is done or must be ended. */
function watch(minutes: number, seed: number, onProgress: (soFar: SentSummary) => void): Promise<Part> {
  const place = new SharedArrayBuffer(12);
  const words = new Uint32Array(place);
  const request: WorkerRequest = { minutes, seed, place };
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: request });
  let summary: SentSummary = { seed, minutes: 0, inputs: 0, inputsPerSecond: 0, targets: [], findings: [] };
  const findings: SentFinding[] = [];
  return new Promise((resolve) => {
    let last = '';
    let since = performance.now();
    const end = (isOver: boolean, what?: string): void => {
      clearInterval(watching);
      if (what !== undefined) findings.push(findingAt(words, what));
      worker.removeAllListeners();
      worker.on('error', () => {});
      void worker.terminate().then(() => resolve({ summary: { ...summary, findings }, isOver }));
    };
    const watching = setInterval(() => {
      const now = words.join();
      if (now !== last) since = performance.now();
      else if (performance.now() - since > HANG_MS) end(false, `it hangs: nothing comes of it in ${HANG_MS / 1000} s`);
      last = now;
    }, WATCH_EVERY_MS);
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'finding') findings.push(message.finding);
      else {
        summary = message.summary;
        onProgress({ ...summary, findings });
        if (message.kind === 'done') end(true);
      }
    });
    worker.on('error', (error) => end(false, `it ends the thread: ${error.message}`));
    worker.on('exit', (code) => end(false, `it ends the thread, with exit code ${code}`));
  });
}

function findingAt(words: Uint32Array, what: string): SentFinding {
  const [number, seed, index] = [...words] as [number, number, number];
  const target = ALL_TARGETS[number]?.target.name ?? 'no target';
  return { target, seed, index, message: `${target}, seed ${seed}, input ${index}: ${what}`, stack: '' };
}

function joined(a: FuzzSummary, b: FuzzSummary): FuzzSummary {
  const targets = new Map<string, TargetTotal>(a.targets.map((total) => [total.target, total]));
  for (const total of b.targets) {
    const before = targets.get(total.target);
    targets.set(total.target, before === undefined ? total : sum(before, total));
  }
  const minutes = a.minutes + b.minutes;
  const inputs = a.inputs + b.inputs;
  return {
    seed: a.seed,
    minutes,
    inputs,
    inputsPerSecond: minutes === 0 ? 0 : Math.round(inputs / (minutes * 60)),
    targets: [...targets.values()],
    findings: [...a.findings, ...b.findings],
  };
}

function sum(a: TargetTotal, b: TargetTotal): TargetTotal {
  const inputs = a.inputs + b.inputs;
  const seconds = a.inputs / a.inputsPerSecond + b.inputs / b.inputsPerSecond;
  const outcomes: Record<string, number> = { ...a.outcomes };
  for (const [outcome, times] of Object.entries(b.outcomes)) outcomes[outcome] = (outcomes[outcome] ?? 0) + times;
  return { target: a.target, inputs, inputsPerSecond: Math.round(inputs / seconds), outcomes };
}

// ── Alone ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string' },
      target: { type: 'string' },
      input: { type: 'string' },
    },
  });
  const seed = Number(values.seed ?? Date.now() % 2 ** 32);
  if (values.target !== undefined) {
    await repeat(values.target, seed, Number(values.input));
    return;
  }
  const summary = await fuzzFor(Number(values.minutes), seed);
  console.log(
    `${summary.inputs} inputs in ${summary.minutes.toFixed(1)} minutes (${summary.inputsPerSecond}/s), seed ${seed}`,
  );
  for (const { target, inputs, inputsPerSecond, outcomes } of summary.targets) {
    const list = Object.entries(outcomes).map(([outcome, times]) => `${times} ${outcome}`);
    console.log(
      `${target.padEnd(26)} ${String(inputs).padStart(9)} inputs ${String(inputsPerSecond).padStart(7)}/s  ${list.join(', ')}`,
    );
  }
  for (const { message, stack } of summary.findings) console.log(`\n${message}\n${stack}`);
  console.log(`\n${summary.findings.length} findings`);
  process.exitCode = summary.findings.length === 0 ? 0 : 1;
}

async function repeat(name: string, seed: number, index: number): Promise<void> {
  const found = ALL_TARGETS.find(({ target }) => target.name === name);
  if (found === undefined)
    throw new Error(
      `There is no target ${name}; there are: ${ALL_TARGETS.map(({ target }) => target.name).join(', ')}`,
    );
  const smallest = await minimize(found.target, seed, index);
  if (smallest === null) console.log(await replay(found.target, seed, index));
  else console.log(smallest.message, '\n', smallest.error);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
