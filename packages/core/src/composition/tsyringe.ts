/**
 * What is used of tsyringe, with the Reflect polyfill that it wants loaded before it: for bundlers, and for all who do not
 * say that they are Node.js. `package.json` chooses, under `imports`, and says that this has an effect: else a bundler takes what is exported again from tsyringe itself, without the polyfill.
 */
import './reflect-polyfill.js';

export { container, inject, injectAll, injectable, instancePerContainerCachingFactory, Lifecycle } from 'tsyringe';
