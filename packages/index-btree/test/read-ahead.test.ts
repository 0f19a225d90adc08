import { describeReadAhead } from '../../testkit/test/read-ahead-behaviour.js';
import { BtreeType } from '../src/index.js';

describeReadAhead(() => new BtreeType(), { pagesARead: 8, levels: 3 });
