/**
 * The one module that imports tsyringe's code, so that the Reflect polyfill that it wants is always loaded before it.
 * `package.json` says that it has an effect: else a bundler takes what is exported again from tsyringe itself, without the polyfill.
 * Containers are children, one for each engine; nothing is ever registered in the global one.
 */
import './reflect-polyfill.js';
import { container, type DependencyContainer } from 'tsyringe';

export { inject, injectAll, injectable, instancePerContainerCachingFactory, Lifecycle } from 'tsyringe';

/** An empty container for one engine. */
export function createContainer(): DependencyContainer {
  return container.createChildContainer();
}
