/**
 * What a key has been given in the course of a run, and what a read may find: of several writes under way any may be there, but nothing older than the last that
 * was acknowledged, and nothing that was not written.
 */
import { versionOf } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

export class Versions {
  /** By the numbers of keys. Version 0 is what the store was filled with. */
  #begun;
  #done;

  constructor(count) {
    this.#begun = new Uint32Array(count);
    this.#done = new Uint32Array(count);
  }

  /** The version of the next write of that key. */
  begin(number) {
    return ++this.#begun[number];
  }

  acknowledged(number, version) {
    if (version > this.#done[number]) this.#done[number] = version;
  }

  /** What a read may find at the least: to be asked for when it begins. */
  least(number) {
    return this.#done[number];
  }

  /** The version that a read has found. Errors: {@link WrongAnswer}. */
  check(value, number, least) {
    const version = versionOf(value, number);
    if (version < least || version > this.#begun[number])
      throw new WrongAnswer(
        `The entry numbered ${number} has version ${version}: ${least} was acknowledged, and ${this.#begun[number]} written`,
      );
    return version;
  }

  /** The version that it has when all is over: every write counts, and none twice. Errors: {@link WrongAnswer}. */
  last(number) {
    if (this.#done[number] !== this.#begun[number])
      throw new WrongAnswer(
        `Of the entry numbered ${number} ${this.#begun[number]} versions were written, and ${this.#done[number]} acknowledged`,
      );
    return this.#done[number];
  }
}
