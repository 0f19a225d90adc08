/** The asynchronous operations that are under way, so that closing can wait for them; no new one begins then. */
export class Operations {
  private running = 0;
  private waiting: (() => void)[] = [];

  begin(): void {
    this.running++;
  }

  end(): void {
    this.running--;
    if (this.running > 0) return;
    const waiting = this.waiting;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves when none is under way. */
  idle(): Promise<void> {
    if (this.running === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
