/**
 * Short cycles within a strongly connected component. Each search goes breadth-first, no further than the best cycle so far is long; all searches of a
 * component together take a few times what the component has of edges, so that looking at all of them stays linear. Within that the shortest one is found.
 */
import type { Digraph } from './digraph.js';
import type { Steps } from './steps.js';

/** How often the edges of a component may be walked, all together, and how many walks there may be at least. */
const ROUNDS = 8;
const LEAST_STEPS = 20_000;

/** Labels of edges that are no step of their own. */
export const SILENT = -1;

export class CycleSearch {
  readonly #component: Int32Array;
  /** Edges within each component. */
  readonly #edgesIn: Int32Array;
  /** Of each node: the search that has reached it last, and by which edge. */
  readonly #reachedIn: Int32Array;
  readonly #reachedBy: Int32Array;
  #search = 0;

  constructor(
    private readonly graph: Digraph,
    private readonly steps: Steps,
  ) {
    graph.seal();
    this.#component = graph.components();
    this.#edgesIn = new Int32Array(graph.nodes);
    this.#reachedIn = new Int32Array(graph.nodes);
    this.#reachedBy = new Int32Array(graph.nodes);
    for (let edge = 0; edge < graph.from.length; edge++)
      if (this.isOnCycle(edge)) this.#edgesIn[this.#component[graph.from[edge] as number] as number]!++;
    steps.count += graph.from.length;
  }

  /** Whether one can go from each of two nodes to the other. */
  isTogether(one: number, other: number): boolean {
    return this.#component[one] === this.#component[other];
  }

  isOnCycle(edge: number): boolean {
    return this.isTogether(this.graph.from[edge] as number, this.graph.to[edge] as number);
  }

  /** Edges on cycles, by component, as far as they are wanted. */
  byComponent(isWanted: (edge: number) => boolean): number[][] {
    const found = new Map<number, number[]>();
    for (let edge = 0; edge < this.graph.from.length; edge++) {
      if (!this.isOnCycle(edge) || !isWanted(edge)) continue;
      const component = this.#component[this.graph.from[edge] as number] as number;
      const edges = found.get(component);
      if (edges === undefined) found.set(component, [edge]);
      else edges.push(edge);
    }
    this.steps.count += this.graph.from.length;
    return [...found.values()];
  }

  /**
   * A short cycle through one of these edges, all of one component; beside that one it goes by edges that may be taken. Its edges in order, silent ones
   * left out; null if there is none, or none was found in time.
   */
  shortest(edges: readonly number[], mayTake: (edge: number) => boolean = () => true): number[] | null {
    const component = this.#component[this.graph.from[edges[0] as number] as number] as number;
    const end = this.steps.count + Math.max(LEAST_STEPS, ROUNDS * (this.#edgesIn[component] as number));
    let best: number[] | null = null;
    for (const edge of edges) {
      if (best?.length === 2 || this.steps.count > end) break;
      const most = best === null ? Number.POSITIVE_INFINITY : best.length - 2;
      const path = this.#path(this.graph.to[edge] as number, this.graph.from[edge] as number, most, mayTake);
      if (path !== null) best = [edge, ...path];
    }
    return best;
  }

  /** The shortest way of at most so many edges that are not silent, within a component. */
  #path(from: number, to: number, most: number, mayTake: (edge: number) => boolean): number[] | null {
    const { graph, steps } = this;
    const search = ++this.#search;
    this.#reachedIn[from] = search;
    this.#reachedBy[from] = -1;
    let near = [from];
    for (let length = 0; near.length > 0 && this.#reachedIn[to] !== search; length++) {
      const far: number[] = [];
      // Silent edges lead to nodes that are as near.
      for (let at = 0; at < near.length; at++) {
        const node = near[at] as number;
        const last = graph.firstLeaving(node + 1);
        for (let place = graph.firstLeaving(node); place < last; place++) {
          steps.count++;
          const edge = graph.leaving(place);
          const next = graph.to[edge] as number;
          if (this.#reachedIn[next] === search || !this.isTogether(node, next) || !mayTake(edge)) continue;
          const isSilent = graph.label[edge] === SILENT;
          if (!isSilent && length >= most) continue;
          this.#reachedIn[next] = search;
          this.#reachedBy[next] = edge;
          (isSilent ? near : far).push(next);
        }
      }
      near = far;
    }
    if (this.#reachedIn[to] !== search) return null;
    const path: number[] = [];
    for (let node = to; node !== from; ) {
      const edge = this.#reachedBy[node] as number;
      if (graph.label[edge] !== SILENT) path.push(edge);
      node = graph.from[edge] as number;
    }
    return path.reverse();
  }
}
