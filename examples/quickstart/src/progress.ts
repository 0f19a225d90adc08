/** Progress: a bar on a terminal, a plain line every two seconds elsewhere. */
import cliProgress from 'cli-progress';

export interface Progress {
  advance(files: number): void;
  stop(): void;
}

export function progress(what: string, total: number): Progress {
  const bar = new cliProgress.SingleBar(
    {
      format: `${what}  {bar}  {percentage} %  {value}/{total} files`,
      barsize: 30,
      hideCursor: true,
      noTTYOutput: true,
      notTTYSchedule: 2000,
      stream: process.stdout,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0);
  return { advance: (files) => bar.increment(files), stop: () => bar.stop() };
}
