/** Power cuts one after the other, by every stand-in that this machine has, until the time is over or something is lost. */
import {
  describeStandIns,
  FileSystemPowerCuts,
  LayerPowerCuts,
  type PowerCuts,
  powerCutStandIns,
  Random,
  VolatileLayer,
} from '@pagewright/testkit';
import { newHome, storeSubject } from './store-subject.js';

export interface PowerCutProgress {
  readonly rounds: number;
  /** States after a loss that were opened and checked. */
  readonly checked: number;
  /** What goes on, or at the beginning which stand-ins there are. */
  readonly message: string;
}

/** A store is given up for a new one after so many rounds, so that young stores are met as well. */
const ROUNDS_OF_A_STORE = 25;

/**
 * Throws what was lost, with the seed and where the files are.
 * @returns how many rounds were made; none where no stand-in can be had
 */
export async function powerCutFor(
  minutes: number,
  seed: number,
  onProgress: (progress: PowerCutProgress) => void = () => undefined,
): Promise<PowerCutProgress> {
  const end = performance.now() + minutes * 60_000;
  const random = new Random(seed);
  let progress: PowerCutProgress = { rounds: 0, checked: 0, message: describeStandIns() };
  const tell = (change: Partial<PowerCutProgress>) => {
    progress = { ...progress, ...change };
    onProgress(progress);
  };
  tell({});
  const names = powerCutStandIns().filter(({ missing }) => missing === null);
  while (names.length > 0 && performance.now() < end) {
    const name = random.pick(names).name;
    const choice = {
      commit: random.pick(['sync', 'group', 'pipelined', 'autonomous'] as const),
      pageSize: random.pick([4096, 16384, 65536]),
    };
    const options = { home: newHome(), seed: random.below(2 ** 31), subject: storeSubject(() => choice) };
    const layer = VolatileLayer.build();
    const cuts: PowerCuts =
      name === 'preloaded layer' && layer.missing === undefined
        ? new LayerPowerCuts({ ...options, layer: layer.is })
        : new FileSystemPowerCuts(options);
    let keepFiles = true;
    try {
      for (let round = 0; round < ROUNDS_OF_A_STORE && performance.now() < end; round++) {
        const { checked } = await cuts.round();
        tell({
          rounds: progress.rounds + 1,
          checked: progress.checked + checked,
          message: `${name}, round ${round} of seed ${options.seed}`,
        });
      }
      keepFiles = false;
    } finally {
      await cuts.dispose({ keepFiles });
    }
  }
  return progress;
}
