/**
 * A hostile store that notes every access outside the page that was asked for. While it is guarded, `segmentOf` gives out
 * views of which only the bytes of that one page may be read (M3). It is slow, and sees what goes through the views
 * that a `Segment` has; not what is read through the buffer behind them.
 */
import { Segment } from '@pagewright/core';
import { HostilePages } from './hostile-pages.js';

type View = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

export class GuardedPages extends HostilePages {
  /** Accesses so far that were outside their page. */
  outside = 0;
  #guarded = false;
  readonly #views = new Map<number, Segment>();

  /** Watches accesses until it is set to false again. Pages must stay in their frames meanwhile. */
  set guarded(on: boolean) {
    this.#guarded = on;
    this.#views.clear();
  }

  override segmentOf(frame: number): Segment {
    const segment = super.segmentOf(frame);
    if (!this.#guarded) return segment;
    const known = this.#views.get(frame);
    if (known !== undefined) return known;
    const guarded: Segment = Object.create(Segment.prototype, {
      buffer: { value: segment.buffer },
      u8: { value: this.#guard(segment.u8, frame) },
      u16: { value: this.#guard(segment.u16, frame) },
      u32: { value: this.#guard(segment.u32, frame) },
      i32: { value: this.#guard(segment.i32, frame) },
      f64: { value: this.#guard(segment.f64, frame) },
    });
    this.#views.set(frame, guarded);
    return guarded;
  }

  /** While it is guarded pages may be damaged, and what an index takes for a swip may be none. */
  protected override isSwip(parent: number, offset: number): boolean {
    try {
      return super.isSwip(parent, offset);
    } catch (error) {
      if (this.#guarded) return false;
      throw error;
    }
  }

  #guard<Type extends View>(view: Type, frame: number): Type {
    const start = this.baseOf(frame) / view.BYTES_PER_ELEMENT;
    const end = start + this.sizeOf(frame) / view.BYTES_PER_ELEMENT;
    const note = (from: number, to: number): void => {
      if (!(from >= start && to <= end)) this.outside++;
    };
    /** Methods that work on a stretch of the view, between these arguments. */
    const stretches: Record<string, (from?: number, to?: number, third?: number) => void> = {
      subarray: (from = 0, to = view.length) => note(from, to),
      slice: (from = 0, to = view.length) => note(from, to),
      fill: (_, from = 0, to = view.length) => note(from, to),
      copyWithin: (_, from = 0, to = view.length) => note(from, to),
    };
    return new Proxy(view, {
      get(target, property) {
        if (typeof property === 'string' && /^-?\d/.test(property)) {
          note(Number(property), Number(property) + 1);
          return Reflect.get(target, property, target);
        }
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function') return value;
        return (...args: number[]): unknown => {
          stretches[String(property)]?.(...args);
          return Reflect.apply(value, target, args);
        };
      },
      set(target, property, value) {
        if (typeof property === 'string' && /^-?\d/.test(property)) note(Number(property), Number(property) + 1);
        return Reflect.set(target, property, value, target);
      },
    });
  }
}
