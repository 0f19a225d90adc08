/**
 * The tokens by which parts find each other. A part asks for a token, never for a class; whoever provides it is chosen by
 * the config. A token ends with `S` where several plugins may provide it together.
 */
import type { InjectionToken } from 'tsyringe';
import type { Concurrency } from './contracts/concurrency.js';
import type { IndexType } from './contracts/index-plugin.js';
import type { IoBackend } from './contracts/io.js';
import type { CommitPolicyType, Log } from './contracts/log.js';
import type { PageStore } from './contracts/pages.js';
import type { ReplacementPolicyType } from './contracts/replacement.js';
import type { TranslationType } from './contracts/translation.js';

export const IO = Symbol.for('pagewright.IO') as InjectionToken<IoBackend>;
export const PAGES = Symbol.for('pagewright.PAGES') as InjectionToken<PageStore>;
export const INDEXES = Symbol.for('pagewright.INDEXES') as InjectionToken<IndexType>;
export const CONCURRENCY = Symbol.for('pagewright.CONCURRENCY') as InjectionToken<Concurrency>;
export const LOG = Symbol.for('pagewright.LOG') as InjectionToken<Log>;
export const COMMIT_POLICIES = Symbol.for('pagewright.COMMIT_POLICIES') as InjectionToken<CommitPolicyType>;
export const REPLACEMENTS = Symbol.for('pagewright.REPLACEMENTS') as InjectionToken<ReplacementPolicyType>;
export const TRANSLATIONS = Symbol.for('pagewright.TRANSLATIONS') as InjectionToken<TranslationType>;
