/**
 * Databases and sublevels that check what the program gives before abstract-level encodes it. As text, a view of memory that is gone would be the empty key, which is
 * below all others: a range from it on is everything. A sublevel puts its prefix before the bytes of a key, of whatever kind its view is.
 */
import { AbstractLevel, AbstractSublevel } from 'abstract-level';
import type { Format } from './stored-bytes.js';
import { assertThere, type Encoded, inBytes } from './view-bytes.js';

export const BOUNDS = ['gt', 'gte', 'lt', 'lte'] as const;

interface Iterator {
  seek(target: unknown, options?: object): void;
}

/** Methods of abstract-level, some of which it does not declare. */
interface Methods {
  _assertValidKey(key: unknown): void;
  _assertValidValue(value: unknown): void;
  clear(options?: object): Promise<void>;
  iterator(options?: object): Iterator;
  keys(options?: object): Iterator;
  values(options?: object): Iterator;
  prefixKey(key: Encoded, format: Format, local: boolean): Encoded;
}

type Class = new (...options: never[]) => Methods;

/** The class with checks before its methods. */
function checking(Level: Class): Class {
  return class extends (Level as new (...options: unknown[]) => Methods) {
    override _assertValidKey(key: unknown): void {
      super._assertValidKey(key);
      assertThere(key, 'key');
    }

    override _assertValidValue(value: unknown): void {
      super._assertValidValue(value);
      assertThere(value, 'value');
    }

    override async clear(options?: object): Promise<void> {
      assertBounds(options);
      return super.clear(options);
    }

    override iterator(options?: object): Iterator {
      assertBounds(options);
      return checkingTargets(super.iterator(options));
    }

    override keys(options?: object): Iterator {
      assertBounds(options);
      return checkingTargets(super.keys(options));
    }

    override values(options?: object): Iterator {
      assertBounds(options);
      return checkingTargets(super.values(options));
    }

    _sublevel(name: string, options: object): object {
      return new CheckedSublevel(this as never, name, options);
    }
  };
}

/** Errors: `LEVEL_INVALID_KEY`. */
export function assertBounds(options: { readonly [option: string]: unknown } | object | undefined | null): void {
  if (options === undefined || options === null) return;
  for (const bound of BOUNDS) assertThere((options as { readonly [option: string]: unknown })[bound], 'key');
}

/** The iterator, of whatever class it is, checks what it is to go to. */
export function checkingTargets<Checked extends object>(iterator: Checked): Checked {
  (iterator as Checked & Iterator).seek = seekChecked;
  return iterator;
}

function seekChecked(this: Iterator, target: unknown, options?: object): void {
  assertThere(target, 'key');
  (Object.getPrototypeOf(this) as Iterator).seek.call(this, target, options);
}

export const CheckedLevel = checking(AbstractLevel as unknown as Class) as unknown as typeof AbstractLevel;

class PrefixingSublevel extends (checking(AbstractSublevel as unknown as Class) as new (
  ...options: unknown[]
) => Methods) {
  override prefixKey(key: Encoded, format: Format, local: boolean): Encoded {
    return super.prefixKey(inBytes(key, 'key'), format, local);
  }
}

const CheckedSublevel = PrefixingSublevel as unknown as typeof AbstractSublevel;
