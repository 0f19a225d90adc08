/**
 * The decoders that the packages keep to themselves, for those who fuzz them. An export of the packages they are not: so
 * they are loaded by path, from the sources where this file is run from its source (by the tests), and from what was
 * built where this file was built (in the soak). No other file of the soak knows of this.
 */

const BUILT = import.meta.url.endsWith('.js');
const PACKAGES = new URL(BUILT ? '../../../packages/' : '../../packages/', import.meta.url);

async function load<Module>(name: string, module: string): Promise<Module> {
  const place = BUILT ? `${name}/dist/${module}.js` : `${name}/src/${module}.ts`;
  return (await import(new URL(place, PACKAGES).href)) as Module;
}

type SuperblockModule = typeof import('../../packages/bufferpool/src/superblock.js');
type MapModule = typeof import('../../packages/bufferpool/src/allocation-map.js');
type SpaceModule = typeof import('../../packages/bufferpool/src/file-space.js');
type ImageModule = typeof import('../../packages/bufferpool/src/page-image.js');
type CatalogModule = typeof import('../../packages/core/src/engine/catalog.js');
type DescriptionModule = typeof import('../../packages/core/src/engine/index-description.js');
type KeptModule = typeof import('../../packages/wal/src/format/kept-timestamps.js');
type RecordModule = typeof import('../../packages/wal/src/format/record.js');
type SegmentHeaderModule = typeof import('../../packages/wal/src/format/segment-header.js');
type SegmentNameModule = typeof import('../../packages/wal/src/format/segment-name.js');

export const superblock = await load<SuperblockModule>('bufferpool', 'superblock');
export const allocationMap = await load<MapModule>('bufferpool', 'allocation-map');
export const fileSpace = await load<SpaceModule>('bufferpool', 'file-space');
export const pageImage = await load<ImageModule>('bufferpool', 'page-image');
export const catalog = await load<CatalogModule>('core', 'engine/catalog');
export const description = await load<DescriptionModule>('core', 'engine/index-description');
export const keptTimestamps = await load<KeptModule>('wal', 'format/kept-timestamps');
export const record = await load<RecordModule>('wal', 'format/record');
export const segmentHeader = await load<SegmentHeaderModule>('wal', 'format/segment-header');
export const segmentName = await load<SegmentNameModule>('wal', 'format/segment-name');
