/** Commits that are told together, by one promise. */
export class Gathered<What = void> {
  readonly told: Promise<What>;
  tell!: (what: What) => void;
  fail!: (error: unknown) => void;

  constructor() {
    this.told = new Promise((resolve, reject) => {
      this.tell = resolve;
      this.fail = reject;
    });
  }
}
