/** The parts of one open tree that work together on its pages. */
import { type IndexContext, LargeValues } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { Descent } from './descent.js';
import { PageEntries } from './page-entries.js';
import { KIND_VALUE } from './page-layout.js';
import { PageShape } from './page-shape.js';
import { ScanDescent } from './scan-descent.js';
import { Way } from './way.js';
import type { Workspace } from './workspace.js';

export interface TreeParts {
  readonly context: IndexContext;
  readonly workspace: Workspace;
  readonly descent: Descent;
  readonly scanDescent: ScanDescent;
  readonly values: LargeValues;
  readonly way: Way;
  readonly shape: PageShape;
  readonly entries: PageEntries;
}

export function treeParts(context: IndexContext, workspace: Workspace): TreeParts {
  const { pages, number } = context;
  const values = new LargeValues(pages, number, KIND_VALUE, damagedPage);
  const way = new Way(pages, number);
  const shape = new PageShape(pages, number, workspace, way);
  const descent = new Descent(context);
  return {
    context,
    workspace,
    descent,
    scanDescent: new ScanDescent(context, descent, workspace.scan),
    values,
    way,
    shape,
    entries: new PageEntries(pages, number, workspace, way, shape, values),
  };
}
