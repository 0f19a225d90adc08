/** The parts of one open tree that work together on its pages. */
import { type IndexContext, LargeValues } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { Descent } from './descent.js';
import { InnerEntries } from './inner-entries.js';
import { InnerPages } from './inner-pages.js';
import { LeafEntries } from './leaf-entries.js';
import { LeafPages } from './leaf-pages.js';
import { KIND_VALUE } from './node-layout.js';
import type { Workspace } from './workspace.js';

export interface TreeParts {
  readonly context: IndexContext;
  readonly workspace: Workspace;
  readonly descent: Descent;
  readonly values: LargeValues;
  readonly leaves: LeafPages;
  readonly inners: InnerPages;
  /** Two neighbours whose entries are divided anew. */
  readonly leafPair: LeafEntries;
  readonly innerPair: InnerEntries;
}

export function treeParts(context: IndexContext, workspace: Workspace): TreeParts {
  const { pages, number } = context;
  const { leftImage, rightImage, thirdImage } = workspace;
  const descent = new Descent(context);
  const values = new LargeValues(pages, number, KIND_VALUE, damagedPage);
  const leaf = new LeafEntries(pages, number, workspace, thirdImage, thirdImage);
  const inner = new InnerEntries(pages, number, workspace, thirdImage, thirdImage);
  return {
    context,
    workspace,
    descent,
    values,
    leaves: new LeafPages(pages, number, workspace, leaf, values),
    inners: new InnerPages(pages, number, workspace, inner),
    leafPair: new LeafEntries(pages, number, workspace, leftImage, rightImage),
    innerPair: new InnerEntries(pages, number, workspace, leftImage, rightImage),
  };
}
