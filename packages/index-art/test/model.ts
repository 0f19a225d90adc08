/** A tree on a hostile store in memory, and the sorted map that it must agree with. */
import { checkTree, HostilePages, type HostilePagesOptions, ModeledIndex } from '@pagewright/testkit';
import { ArtType } from '../src/index.js';

export class ModeledTree extends ModeledIndex<HostilePages> {
  constructor(options: HostilePagesOptions = {}, pages = new HostilePages(options)) {
    super(new ArtType(), pages);
  }

  /** Everything that the tree says of itself agrees with the model, and its pages are in order. */
  expectWhole(): void {
    this.pages.assertQuiet();
    const damage = checkTree(this.index, this.pages, this.root);
    if (damage.length > 0) throw new Error(`check reports: ${damage.slice(0, 5).join('; ')}`);
    this.expectAgreement();
    this.pages.assertQuiet();
  }
}
