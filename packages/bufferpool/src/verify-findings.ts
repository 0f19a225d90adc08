/**
 * What a verification has found, and where. A place is a page, or something else that can be wrong, with the way that led
 * to it; its text is made only when there is something to report.
 *
 * Must hold: an extent that is damaged is reported once, by whichever way it is met first.
 */
import type { ErrorCode, VerifyProblem } from '@pagewright/core/contracts';

export class Place {
  constructor(
    readonly above: Place | null,
    private readonly what: string,
    /** Byte offset in the page file; null for what is not there. */
    readonly offset: number | null = null,
  ) {}

  /** A page below this place; the label says what begins with it. */
  storedPage(offset: number, label: string): Place {
    return new Place(this, named(label, `page at byte ${offset}`), offset);
  }

  frame(frame: number, label: string): Place {
    return new Place(this, named(label, `frame ${frame}`));
  }

  toString(): string {
    return this.above === null ? this.what : `${this.above} → ${this.what}`;
  }
}

/** Extents remembered as damaged at most: beyond it one may be reported twice. */
const MOST_DAMAGED = 65_536;

export class Findings {
  readonly #damaged = new Set<number>();

  constructor(private readonly pass: (problem: VerifyProblem) => void) {}

  report(place: Place, message: string, code: ErrorCode = 'PW_CORRUPT_PAGE'): void {
    const { offset } = place;
    this.pass({ path: place.toString(), message, code, ...(offset === null ? {} : { offset }) });
  }

  /** As `report`, of an extent whose bytes cannot be trusted. */
  reportExtent(address: number, place: Place, message: string, code?: ErrorCode): void {
    if (this.#damaged.has(address)) return;
    if (this.#damaged.size < MOST_DAMAGED) this.#damaged.add(address);
    this.report(place, message, code);
  }
}

function named(label: string, page: string): string {
  return label === '' ? page : `${label}, ${page}`;
}
