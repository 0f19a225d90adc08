/** The B+-tree as a type of index. */
import { type Index, type IndexContext, type IndexType, VALUE_HEADER_SIZE } from '@pagewright/core';
import { Btree } from './btree.js';
import { KIND_LEAF } from './node-layout.js';
import { treeParts } from './tree-parts.js';
import { Workspace } from './workspace.js';

/** Makes and opens B+-trees. All trees of one instance share a workspace: it belongs to one thread. */
export class BtreeType implements IndexType {
  readonly name = 'btree';
  #workspace: Workspace | null = null;

  /** Keys have up to a quarter of a page; values what the largest page holds. */
  limits(pageSize: number, maxSizeClass: number): { readonly maxKeySize: number; readonly maxValueSize: number } {
    return { maxKeySize: Math.floor(pageSize / 4), maxValueSize: pageSize * 2 ** maxSizeClass - VALUE_HEADER_SIZE };
  }

  /** Puts an empty leaf at the root. Errors: those of `PageStore.allocate`; nothing has changed then. */
  create(context: IndexContext, timestamp: number): Index {
    const { pages, root, number } = context;
    const { leaves } = treeParts(context, this.#workspaceFor(pages.pageSize));
    pages.latch(root.frame);
    try {
      const leaf = pages.allocate(number, KIND_LEAF, 0, timestamp);
      leaves.format(leaf);
      try {
        pages.modify(root.frame, timestamp);
      } catch (error) {
        pages.free(leaf);
        throw error;
      }
      pages.link(root.frame, root.offset, leaf);
      pages.unlatch(leaf);
    } finally {
      pages.unlatch(root.frame);
    }
    return this.open(context);
  }

  open(context: IndexContext): Index {
    return new Btree(context, this.#workspaceFor(context.pages.pageSize));
  }

  #workspaceFor(pageSize: number): Workspace {
    if (this.#workspace?.pageSize !== pageSize) this.#workspace = new Workspace(pageSize);
    return this.#workspace;
  }
}
