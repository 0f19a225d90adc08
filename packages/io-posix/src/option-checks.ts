/** Options of a backend as its constructor takes them. What the plugin's schema refuses is refused here too: a word that is misspelt would else be a default. */
import { PagewrightError } from '@pagewright/core/contracts';
import { shown } from './fault.js';

/** What the value of an option must be, in words, and whether one is. */
export interface OptionRule {
  readonly must: string;
  takes(value: unknown): boolean;
}

export function wholeNumber(least: number, most: number): OptionRule {
  return {
    must: `a whole number from ${least} to ${most}`,
    takes: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
  };
}

export function oneOf(...values: readonly (string | boolean)[]): OptionRule {
  const must = values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))).join(', ');
  return { must: `one of ${must}`, takes: (value) => values.includes(value as string) };
}

export const TEXT: OptionRule = { must: 'a string', takes: (value) => typeof value === 'string' };

/** An option that is left out, or undefined, is one that was not given. @throws PW_OPTION_INVALID */
export function assertOptions(options: unknown, rules: Readonly<Record<string, OptionRule>>): void {
  if (typeof options !== 'object' || options === null) {
    throw invalid('options', options, `The options are ${shown(options)}; they must be an object.`);
  }
  for (const [option, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, option) ? rules[option] : undefined;
    if (rule === undefined) {
      throw invalid(option, value, `${option} is no option; there are ${Object.keys(rules).join(', ')}.`);
    }
    if (value === undefined || rule.takes(value)) continue;
    throw invalid(option, value, `${option} is ${shown(value)}; it must be ${rule.must}.`);
  }
}

function invalid(option: string, value: unknown, message: string): PagewrightError {
  return new PagewrightError('PW_OPTION_INVALID', message, { details: { option, value } });
}
