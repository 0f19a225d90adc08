/** The radix tree as a type of index. */
import { type Index, type IndexContext, type IndexType, VALUE_HEADER_SIZE } from '@pagewright/core';
import { Art } from './art.js';
import { formatPage, KIND_NODES } from './page-layout.js';
import { Workspace } from './workspace.js';

/** Makes and opens radix trees. All trees of one instance share a workspace: it belongs to one thread. */
export class ArtType implements IndexType {
  readonly name = 'art';
  #workspace: Workspace | null = null;

  /** Keys have up to a quarter of a page; values what the largest page holds. */
  limits(pageSize: number, maxSizeClass: number): { readonly maxKeySize: number; readonly maxValueSize: number } {
    return { maxKeySize: Math.floor(pageSize / 4), maxValueSize: pageSize * 2 ** maxSizeClass - VALUE_HEADER_SIZE };
  }

  /** Puts an empty page at the root. Errors: those of `PageStore.allocate` and `modify`; nothing has changed then. */
  create(context: IndexContext, timestamp: number): Index {
    const { pages, root, number } = context;
    pages.latch(root.frame);
    try {
      const page = pages.allocate(number, KIND_NODES, 0, timestamp);
      formatPage(pages.segmentOf(page), pages.baseOf(page), pages.pageSize, 0, false, 0);
      try {
        pages.modify(root.frame, timestamp);
      } catch (error) {
        pages.free(page);
        throw error;
      }
      pages.link(root.frame, root.offset, page);
      pages.unlatch(page);
    } finally {
      pages.unlatch(root.frame);
    }
    return this.open(context);
  }

  open(context: IndexContext): Index {
    return new Art(context, this.#workspaceFor(context.pages.pageSize));
  }

  #workspaceFor(pageSize: number): Workspace {
    if (this.#workspace?.pageSize !== pageSize) this.#workspace = new Workspace(pageSize);
    return this.#workspace;
  }
}
