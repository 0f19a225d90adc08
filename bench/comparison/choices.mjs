/**
 * What can be compared, by name: the modules in `engines/` and `workloads/`, and the data sets. An engine may also be the path of a
 * module of one's own, which exports `engine` as those do.
 */
import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DATA_SETS, USUAL_DATA_SETS } from './data-sets.mjs';
import { NotThere } from './not-there.mjs';

const ENGINES = new URL('../engines/', import.meta.url);
const WORKLOADS = new URL('../workloads/', import.meta.url);
const OWN = 'pagewright';
/** No engine, but what the machine needs for the same work. */
const LIMIT = 'machine';

export const engineNames = [OWN, ...namesIn(ENGINES).filter((name) => name !== OWN && name !== LIMIT), LIMIT];
export const workloadNames = namesIn(WORKLOADS);
export const dataNames = Object.keys(DATA_SETS);
export const usualDataNames = USUAL_DATA_SETS;

/**
 * @typedef {object} EngineChoice
 * @property {string} name
 * @property {string} module Its URL.
 * @property {boolean} isPeer Whether it has to be installed.
 * @property {boolean} isLimit Whether it stores nothing.
 */

/** @returns {EngineChoice} */
export function engineNamed(name) {
  if (engineNames.includes(name)) {
    const isLimit = name === LIMIT;
    return { name, module: new URL(`${name}.mjs`, ENGINES).href, isPeer: name !== OWN && !isLimit, isLimit };
  }
  const path = resolve(name);
  if (name.endsWith('.mjs') && existsSync(path))
    return { name, module: pathToFileURL(path).href, isPeer: false, isLimit: false };
  throw new Error(
    `There is no engine "${name}". There are: ${engineNames.join(', ')}, and any module that is named by its path.`,
  );
}

/** Errors: {@link NotThere} if it cannot be loaded, as where a peer is not installed. */
export async function loadEngine(module) {
  try {
    return (await import(module)).engine;
  } catch (error) {
    throw new NotThere(`it cannot be loaded: ${error.message.split('\n')[0]}`);
  }
}

export async function loadWorkload(name) {
  if (!workloadNames.includes(name)) {
    throw new Error(`There is no workload "${name}". There are: ${workloadNames.join(', ')}.`);
  }
  return (await import(new URL(`${name}.mjs`, WORKLOADS))).workload;
}

export function checkDataName(name) {
  if (!dataNames.includes(name)) throw new Error(`There is no data set "${name}". There are: ${dataNames.join(', ')}.`);
  return name;
}

function namesIn(directory) {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.mjs'))
    .map((file) => file.slice(0, -'.mjs'.length))
    .sort();
}
