/**
 * The one module that reaches tsyringe's code. Containers are children, one for each engine; nothing is ever registered in the global one.
 */

import type { DependencyContainer } from 'tsyringe';
import { container } from '#tsyringe';

export { inject, injectAll, injectable, instancePerContainerCachingFactory, Lifecycle } from '#tsyringe';

/** An empty container for one engine. */
export function createContainer(): DependencyContainer {
  return container.createChildContainer();
}
