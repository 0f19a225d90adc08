/**
 * What is stored: keys that are numbered in their order, from 0 on, and can be made from their numbers whenever they are needed. So no list of all of
 * them is held, and any engine's answer can be checked.
 */
import { mixed, Random } from './random.mjs';
import { VALUE_BYTES } from './values.mjs';

/**
 * @typedef {object} DataSet
 * @property {'utf8' | 'u64'} kind What a key is to a program: a string, or a whole number.
 * @property {number} count
 * @property {number} keyBytes Bytes of a key, on average.
 * @property {number} valueBytes
 * @property {(numbers: ArrayLike<number>) => (string | number)[]} keysOf
 * @property {(key: string | number) => string | number} after A key that is not there, right behind one that is.
 * @property {() => string | number} missing A key that is not there, and would be the last.
 */

export const DATA_SETS = {
  decimal: { title: 'strings of 16 decimal digits, one after the other', make: decimals },
  u64: { title: 'whole numbers below 2⁵³, at random', make: u64s },
  path: { title: 'paths of files', make: paths },
  dense: { title: 'whole numbers from 0 on', make: denseNumbers },
  uuid: { title: 'UUIDs at random, as text', make: uuids },
  word: { title: 'two words of English each', make: words },
};

/** Those that are taken where none is named: the others tell indexes apart, and not engines. */
export const USUAL_DATA_SETS = ['decimal', 'u64', 'path'];

/** `basePaths`: paths of files, sorted, of which the data set of paths is made. */
export function dataSet(name, count, basePaths) {
  return DATA_SETS[name].make(count, basePaths);
}

/** Whether a key that an engine gave back is this one: a whole number may be a bigint, or eight bytes, the highest first. */
export function isSameKey(given, key) {
  if (typeof given === typeof key) return given === key;
  if (typeof given === 'bigint') return given === BigInt(key);
  return given instanceof Uint8Array && given.length === 8 && Buffer.from(given).readBigUInt64BE() === BigInt(key);
}

function decimals(count) {
  return {
    kind: 'utf8',
    count,
    keyBytes: 16,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers, (number) => flat(String(number).padStart(16, '0'))),
    after: (key) => flat(`${key}+`),
    missing: () => '9999999999999999',
  };
}

function u64s(count) {
  const random = new Random(count);
  const all = Float64Array.from({ length: count }, () => random.below(2 ** 21) * 2 ** 32 + random.u32()).sort();
  // Two alike are as good as never met; the later one becomes the next number.
  for (let at = 1; at < count; at++) if (all[at] <= all[at - 1]) all[at] = all[at - 1] + 1;
  return {
    kind: 'u64',
    count,
    keyBytes: 8,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers, (number) => all[number]),
    // Of a million among 2⁵³ hardly two are neighbours; if they are, the scan that checks all says so.
    after: (key) => key + 1,
    missing: () => 2 ** 53 - 1,
  };
}

function denseNumbers(count) {
  return {
    kind: 'u64',
    count,
    keyBytes: 8,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers),
    // The next number is there: half a one is no key.
    after: (key) => key + count,
    missing: () => 2 ** 53 - 1,
  };
}

/** Version 4, of which the first 48 bits give the order; no two of them are alike. */
function uuids(count) {
  const random = new Random(count);
  const all = Float64Array.from({ length: count }, () => random.below(2 ** 16) * 2 ** 32 + random.u32()).sort();
  for (let at = 1; at < count; at++) if (all[at] <= all[at - 1]) all[at] = all[at - 1] + 1;
  const hex = (number, digits) => number.toString(16).padStart(digits, '0');
  const keyOf = (number) => {
    const high = hex(all[number], 12);
    const [low, lower] = [mixed(2 * number + 1), mixed(2 * number + 2)];
    const variant = hex(0x8000 | (low & 0x3fff), 4);
    return flat(
      `${high.slice(0, 8)}-${high.slice(8)}-4${hex(low >>> 20, 3)}-${variant}-${hex(lower, 8)}${hex(low >>> 16, 4)}`,
    );
  };
  return {
    kind: 'utf8',
    count,
    keyBytes: 36,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers, keyOf),
    after: (key) => flat(`${key}+`),
    missing: () => 'zzz',
  };
}

const WORDS = (
  'about above across action after again against almost alone along already also although always among amount answer appear around arrive attempt ' +
  'balance become before begin behind believe below beneath beside between beyond border branch bridge bring broken build careful carry century certain ' +
  'change chapter choose circle clear close common company complete consider contain continue control corner correct country course cover create current ' +
  'danger daughter decide degree demand depend describe desire detail develop differ direct discover distance divide double during early earth effect ' +
  'either electric element else employ enemy energy engine enough enter entire equal escape even evening event ever every evidence exact example except ' +
  'exchange exercise exist expect experience explain express extreme family famous father favour feeling field figure final finger finish follow force ' +
  'foreign forest forget form former forward found fraction friend front further future garden gather general gentle glass govern gradual ground growth ' +
  'handle happen harbour heart heavy height history hollow honest hope however human hundred hurry imagine immediate important include increase indeed ' +
  'industry inform inside instant instead interest invent island journey judge kitchen knowledge language large laugh leader learn least leave length ' +
  'letter level library light limit listen little machine manner market matter measure member memory mention method middle might minute mirror modern ' +
  'moment money month morning mother mountain move music narrow nation nature near necessary needle neither never nothing notice number object observe ' +
  'ocean offer office often open operate opinion orange order ordinary other outside paper parallel parent particular pattern people perfect perhaps ' +
  'period person picture place plain plant please point position possible power practice prepare present press pretty prevent print private problem ' +
  'process produce promise proper protect provide public purpose quality quarter question quick quiet rather reach ready reason receive record reduce ' +
  'region regular relation remain remember repeat reply report represent require rest result return river round school science season second secret ' +
  'section select separate serious serve settle several shadow shape short should shoulder silver similar simple single sister slight small smooth ' +
  'society soft soldier sound south space special spirit spread spring square stand station still stone store straight strange stream strength strong ' +
  'structure substance sudden suggest summer support suppose surface surprise system table teach temperature tender theory thick think thought thousand ' +
  'through together tomorrow tongue toward track trade travel trouble under until upon usual valley value various village violent visit voice water ' +
  'weather weight where whether which while whole window winter without wonder world write year yellow young'
).split(' ');

/** Two words, and a number where there are more keys than pairs. In the order of their bytes: a space comes before all letters. */
function words(count) {
  const base = WORDS.toSorted();
  const pairs = base.length ** 2;
  const each = Math.ceil(count / pairs);
  const keyOf = (number) => {
    const pair = Math.floor(number / each);
    const ordinal = String(number % each).padStart(String(each - 1).length, '0');
    return flat(
      `${base[Math.floor(pair / base.length)]} ${base[pair % base.length]}${each === 1 ? '' : ` ${ordinal}`}`,
    );
  };
  return {
    kind: 'utf8',
    count,
    keyBytes: 14,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers, keyOf),
    after: (key) => flat(`${key} +`),
    missing: () => 'zzz',
  };
}

/** The same paths on one machine after the other. */
function paths(count, base) {
  if (base.length === 0) throw new Error('There are no paths to make keys of');
  const keyOf = (number) => {
    const machine = String(Math.floor(number / base.length)).padStart(6, '0');
    return flat(`/machines/${machine}${base[number % base.length]}`);
  };
  const sample = base.slice(0, Math.min(count, base.length));
  return {
    kind: 'utf8',
    count,
    keyBytes: '/machines/000000'.length + sample.reduce((sum, path) => sum + path.length, 0) / sample.length,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers, keyOf),
    // Before anything that has more of the path: no path has a character before the space, or ends with one.
    after: (key) => flat(`${key} `),
    missing: () => '/nowhere',
  };
}

/** One run of bytes: a string that was put together of parts is a tree of them until someone reads it, who would then be measured for it. */
function flat(string) {
  return Buffer.from(string, 'latin1').latin1Slice();
}
