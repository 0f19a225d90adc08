/** A sound index with one thing about it altered: in its methods, in its cursors, or in the page store that it sees. */
import type { Cursor, Index, IndexContext, IndexType, PageStore } from '@pagewright/core';

/** What is altered. Each gets the sound thing and gives the methods that take the place of its own. */
export interface Alteration {
  readonly limits?: (sound: ReturnType<IndexType['limits']>) => ReturnType<IndexType['limits']>;
  readonly index?: (sound: Index, context: IndexContext, type: IndexType) => Partial<Index>;
  readonly cursor?: (sound: Cursor, index: Index) => Partial<Cursor>;
  readonly pages?: (sound: PageStore) => Partial<PageStore>;
  /** What is opened in place of the sound index. */
  readonly open?: (type: IndexType, context: IndexContext) => Index;
}

export function altered(type: IndexType, alteration: Alteration): IndexType {
  const onAlteredPages = (context: IndexContext): IndexContext => ({
    ...context,
    pages: withMethods(context.pages, alteration.pages?.(context.pages) ?? {}),
  });
  const alterIndex = (sound: Index, context: IndexContext): Index => {
    const index = withMethods(sound, alteration.index?.(sound, context, type) ?? {});
    const { cursor } = alteration;
    if (cursor === undefined) return index;
    const alteredCursor = (): Cursor => {
      const own = index.cursor();
      return withMethods(own, cursor(own, index));
    };
    return withMethods(index, { cursor: alteredCursor });
  };
  return {
    name: type.name,
    limits: (pageSize, maxSizeClass) => {
      const sound = type.limits(pageSize, maxSizeClass);
      return alteration.limits?.(sound) ?? sound;
    },
    create: (context, timestamp) => alterIndex(type.create(onAlteredPages(context), timestamp), context),
    open: (context) =>
      alterIndex(
        alteration.open === undefined
          ? type.open(onAlteredPages(context))
          : alteration.open(type, onAlteredPages(context)),
        context,
      ),
  };
}

/** The same object to its users, with some methods replaced. Its own methods call each other as before. */
function withMethods<Target extends object>(target: Target, methods: Partial<Target>): Target {
  return new Proxy(target, {
    get(_, property) {
      const replaced: unknown = Reflect.get(methods, property);
      if (replaced !== undefined) return replaced;
      const own: unknown = Reflect.get(target, property, target);
      return typeof own === 'function' ? own.bind(target) : own;
    },
    set: (_, property, value) => Reflect.set(target, property, value, target),
  });
}
