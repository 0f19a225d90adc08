import { describeReadAhead } from '../../testkit/test/read-ahead-behaviour.js';
import { ArtType } from '../src/index.js';

describeReadAhead(() => new ArtType(), { pagesARead: 4, levels: 5 });
