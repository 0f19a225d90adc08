/**
 * The same for Node.js, which looks through a CommonJS package for what it exports when a module imports it: up to Node.js 24 by a parser that it compiles to machine code for that. Required,
 * tsyringe is the same, and a process spares 6 MiB and a third of the processor's time that importing the engine takes.
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
require('reflect-metadata');
const tsyringe = require('tsyringe') as typeof import('tsyringe');

export const { container, inject, injectAll, injectable, instancePerContainerCachingFactory, Lifecycle } = tsyringe;
