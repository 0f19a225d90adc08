/**
 * What a translation must do, however it finds a page. Nobody behind it checks what it answers: one that breaks a clause shows
 * readers the wrong page.
 */
import type { NamedFrames, Translation, TranslationType } from '@pagewright/core';
import { Random } from '../random.js';
import { type Clause, runSuite, type SubjectFactory, type Suite, type TestRunner } from './suite.js';

const FRAMES = 96;
const NAMES = 2 ** 30;
/** Units of the file when it is opened. It is much longer later. */
const UNITS = 200;
const NONE = -1;

/** Registers the clauses for translations with a test runner. `create` gives the type that is tested. */
export function translationConformance(runner: TestRunner, factory: SubjectFactory<TranslationType>): void {
  runSuite(translationSuite, runner, factory, {});
}

const clauses: readonly Clause<TranslationType>[] = [
  {
    id: 'state-bytes',
    says: 'asks for a whole number of bytes for its state, the same for the same numbers',
    check(type) {
      for (const [frames, units] of [
        [64, 0],
        [FRAMES, UNITS],
        [2 ** 20, 2 ** 22],
      ] as const) {
        const [bytes, again] = [type.stateBytes(frames, units), type.stateBytes(frames, units)];
        if (!(Number.isSafeInteger(bytes) && bytes >= 0)) throw new Error(`It wants ${bytes} bytes.`);
        if (bytes !== again) throw new Error(`For ${frames} frames it wants ${bytes} bytes, then ${again}.`);
      }
    },
  },
  {
    id: 'every-frame',
    says: 'finds every page while all frames have one, wherever in the file they come from',
    check(type) {
      for (const unitOf of [() => 0, (frame: number) => frame, () => 7, (frame: number) => frame * 2 ** 20]) {
        const pages = new NamedPages(type);
        for (let frame = 1; frame < FRAMES; frame++) pages.enter(frame, unitOf(frame));
        pages.check();
        for (let frame = 1; frame < FRAMES; frame++) pages.leave(frame);
        pages.check();
      }
    },
  },
  {
    id: 'whatever-happens',
    says: 'finds each page that is in memory, and no other, whatever comes, leaves and moves',
    check(type) {
      for (const seed of [1, 2, 3]) new NamedPages(type).drive(new Random(seed), 3000, () => {});
    },
  },
  {
    id: 'threads-by-turns',
    says: 'finds through one object what another one has noted',
    check(type) {
      for (const seed of [4, 5]) {
        const pages = new NamedPages(type);
        pages.drive(new Random(seed), 3000, () => pages.nextObject());
      }
    },
  },
  {
    id: 'attaching-to-state',
    says: 'goes on as it was when an object is made over a state in use',
    check(type) {
      const pages = new NamedPages(type);
      const random = new Random(6);
      for (let round = 0; round < 20; round++) {
        pages.attach();
        pages.drive(random, 100, () => {});
      }
    },
  },
  {
    id: 'any-number',
    rules: ['M3'],
    says: 'answers that there is no page for a name that none has, whatever number that is',
    check(type) {
      const pages = new NamedPages(type);
      for (let frame = 1; frame < FRAMES; frame += 2) pages.enter(frame, frame);
      const random = new Random(7);
      // Where frames are names every small number is one, and the reader finds out that the page above has changed.
      const least = type.namesFrames ? FRAMES : 0;
      const numbers = Array.from({ length: 4000 }, () => random.between(least, random.pick([FRAMES, 1024, NAMES - 1])));
      for (const name of [least, NAMES - 1, ...numbers]) pages.checkNone(name);
    },
  },
  {
    id: 'in-the-midst',
    rules: ['M2'],
    says: 'gives no page the frame of another one, also while a page comes, leaves or moves',
    check(type) {
      const pages = new NamedPages(type);
      pages.looksWhileChanging = true;
      pages.drive(new Random(8), 1500, () => pages.nextObject());
    },
  },
  {
    id: 'state-of-its-own',
    says: 'keeps nothing in common with another one of its type',
    check(type) {
      const [one, other] = [new NamedPages(type), new NamedPages(type)];
      const random = new Random(9);
      for (let round = 0; round < 20; round++) for (const pages of [one, other]) pages.drive(random, 50, () => {});
    },
  },
  {
    id: 'frames-as-names',
    says: 'names pages after their frames if it says so',
    check(type) {
      const pages = new NamedPages(type);
      for (const frame of [1, 5, FRAMES - 1]) {
        const name = pages.enter(frame, 3 * frame);
        if (type.namesFrames && name !== frame) throw new Error(`The page in frame ${frame} is named ${name}.`);
      }
    },
  },
];

/** Clauses for what is registered under `TRANSLATIONS`. */
export const translationSuite: Suite<TranslationType> = { name: 'translation', clauses };

/** Frames with pages that have names, beside what is known of them, and several objects of the translation over one state. */
class NamedPages implements NamedFrames {
  readonly count = FRAMES;
  /** Whether all pages are looked for in the midst of each change. */
  looksWhileChanging = false;
  readonly #names = new Int32Array(FRAMES);
  readonly #state: SharedArrayBuffer;
  /** By name, as it should be. */
  readonly #known = new Map<number, number>();
  /** The page that comes, leaves or moves right now: nothing is to be expected of it. */
  #changing = NONE;
  #objects: Translation[] = [];
  #turn = 0;

  constructor(private readonly type: TranslationType) {
    this.#state = new SharedArrayBuffer(type.stateBytes(FRAMES, UNITS));
    for (let thread = 0; thread < 3; thread++) this.attach();
  }

  /** One object more, which is the only one from now on that is used. */
  attach(): void {
    this.#objects = [...this.#objects.slice(-2), this.type.attach(this, this.#state)];
    this.#turn = this.#objects.length - 1;
  }

  nextObject(): void {
    this.#turn = (this.#turn + 1) % this.#objects.length;
  }

  nameOf(frame: number): number {
    return this.#names[frame] as number;
  }

  setName(frame: number, name: number): void {
    this.#look();
    this.#names[frame] = name;
    this.#look();
  }

  enter(frame: number, unit: number): number {
    const name = this.#change(NONE, () => this.#object.enter(frame, unit));
    if (!(Number.isInteger(name) && name > 0 && name < NAMES)) throw new Error(`A page is named ${name}.`);
    const other = this.#known.get(name);
    if (other !== undefined) throw new Error(`Pages in the frames ${other} and ${frame} are both named ${name}.`);
    this.#expectName(frame, name);
    this.#known.set(name, frame);
    return name;
  }

  leave(frame: number): void {
    const name = this.nameOf(frame);
    this.#change(name, () => this.#object.leave(frame));
    this.#known.delete(name);
    this.#expectName(frame, 0);
  }

  move(from: number, to: number): void {
    const before = this.nameOf(from);
    const name = this.#change(before, () => this.#object.move(from, to));
    if (!this.type.namesFrames && name !== before)
      throw new Error(`A page that moved is named ${name}, not ${before}.`);
    this.#known.delete(before);
    this.#known.set(name, to);
    this.#expectName(from, 0);
    this.#expectName(to, name);
  }

  /** All that can happen, at random; `next` is called before each step. */
  drive(random: Random, steps: number, next: () => void): void {
    for (let step = 0; step < steps; step++) {
      next();
      const frame = random.between(1, FRAMES - 1);
      const other = random.between(1, FRAMES - 1);
      const isNamed = this.nameOf(frame) !== 0;
      try {
        if (!isNamed) this.enter(frame, random.pick([0, 0, random.below(UNITS), random.below(2 ** 29)]));
        else if (this.nameOf(other) === 0 && random.chance(0.5)) this.move(frame, other);
        else if (random.chance(0.5)) this.leave(frame);
        this.check();
      } catch (error) {
        throw new Error(`Seed ${random.seed}, step ${step}: ${(error as Error).message}`, { cause: error });
      }
    }
  }

  /** Every page is found where it is. */
  check(): void {
    for (const [name, frame] of this.#known) this.#expect(name, frame, [frame]);
  }

  checkNone(name: number): void {
    if (!this.#known.has(name)) this.#expect(name, NONE, [NONE]);
  }

  get #object(): Translation {
    return this.#objects[this.#turn] as Translation;
  }

  #change<Result>(name: number, change: () => Result): Result {
    this.#changing = name;
    try {
      return change();
    } finally {
      this.#changing = NONE;
    }
  }

  /** In the midst of a change: pages may be missed. */
  #look(): void {
    if (!this.looksWhileChanging) return;
    for (const [name, frame] of this.#known) if (name !== this.#changing) this.#expect(name, frame, [frame, NONE]);
  }

  #expect(name: number, frame: number, allowed: readonly number[]): void {
    const found = this.#objects[(this.#turn + 1) % this.#objects.length]?.frameOf(name) as number;
    if (!allowed.includes(found))
      throw new Error(`The page named ${name} is in frame ${frame}, and was found in ${found}.`);
  }

  #expectName(frame: number, name: number): void {
    if (this.nameOf(frame) !== name) throw new Error(`Frame ${frame} says ${this.nameOf(frame)} for the name ${name}.`);
  }
}
