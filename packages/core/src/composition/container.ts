/**
 * The one module that imports tsyringe's code, so that the Reflect polyfill that it wants is always loaded before it.
 * Containers are children, one for each engine; nothing is ever registered in the global one.
 */
import './reflect-polyfill.js';
import { container, type DependencyContainer } from 'tsyringe';

export { inject, injectAll, injectable, instancePerContainerCachingFactory, Lifecycle } from 'tsyringe';

/** An empty container for one engine. */
export function createContainer(): DependencyContainer {
  return container.createChildContainer();
}
