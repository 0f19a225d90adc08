/**
 * Loads the Reflect polyfill without which tsyringe refuses to be loaded. It is a module of its own, because bundlers run a
 * CommonJS package in the place of the module that imports it: here that is before tsyringe.
 */
import 'reflect-metadata';
