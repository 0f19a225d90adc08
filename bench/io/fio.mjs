/** fio at the same work: what the device and the system can do without JavaScript. */
import { spawnSync } from 'node:child_process';

/** Why fio cannot be asked; undefined if it can. */
export function whyNoFio() {
  const { status } = spawnSync('fio', ['--version']);
  return status === 0 ? undefined : 'fio is not installed';
}

/** Runs fio for a while. What comes back is as a cell says it. */
export function runFio({ path, kind, pages, pageBytes, seconds, seed }, options) {
  const work =
    kind === 'read'
      ? ['--rw=randread', '--direct=1', '--norandommap', '--readonly', '--bs=16k']
      : ['--rw=write', '--bs=4k'];
  const { status, stdout, stderr, error } = spawnSync(
    'fio',
    [
      ...['--name=cell', `--filename=${path}`, `--size=${pages * pageBytes}`, `--randseed=${seed}`],
      ...['--time_based', `--runtime=${seconds}`, '--output-format=json', '--overwrite=1'],
      ...work,
      ...options,
    ],
    { encoding: 'utf8', maxBuffer: 1 << 24 },
  );
  if (status !== 0) return { failed: (stderr || stdout || String(error)).split('\n')[0] };
  // Before it fio may say what it thinks of the options.
  const [job] = JSON.parse(stdout.slice(stdout.indexOf('{'))).jobs;
  const { iops, total_ios: operations } = kind === 'read' ? job.read : job.write;
  if (operations === 0) return { failed: `it did nothing (error ${job.error})` };
  const cpuMs = ((job.usr_cpu + job.sys_cpu) / 100) * job.job_runtime;
  return { measured: { wallNs: 1e9 / iops, cpuNs: (cpuMs * 1e6) / operations, operations } };
}
