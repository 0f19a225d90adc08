/**
 * A part of the soak: one way to look for faults, which goes on for as long as it is given and can be begun by a seed. Each
 * runs in a process of its own, so that one that hangs or dies is a finding and not the end of the run.
 */

export interface Budget {
  readonly minutes: number;
  readonly seed: number;
  /** Told now and then how far it is. */
  onProgress(counts: Counts): void;
}

/** What was done so far, by name: `crashes`, `inputs`. */
export type Counts = Readonly<Record<string, number>>;

export interface Finding {
  readonly message: string;
  /** What shows it again: a command, or the seed with what else is needed. */
  readonly again: string;
}

export interface PartResult {
  readonly counts: Counts;
  readonly findings: readonly Finding[];
}

export interface Part {
  readonly name: string;
  /** What it does, in a few words. */
  readonly does: string;
  run(budget: Budget): Promise<PartResult>;
}
