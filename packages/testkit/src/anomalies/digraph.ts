/**
 * A directed graph of numbered nodes and labelled edges, and its strongly connected components: Tarjan, Depth-First Search and Linear Graph Algorithms,
 * SIAM J. Comput. 1972. Without recursion, because a path may be as long as the history.
 */
import type { Steps } from './steps.js';

export class Digraph {
  readonly from: number[] = [];
  readonly to: number[] = [];
  readonly label: number[] = [];
  /** Edges by the node that they leave: those of node n are `leaving[first[n]]` up to `leaving[first[n + 1]]`. */
  #first = new Int32Array(0);
  #leaving = new Int32Array(0);

  constructor(
    private nodeCount: number,
    private readonly steps: Steps,
  ) {}

  get nodes(): number {
    return this.nodeCount;
  }

  addNode(): number {
    return this.nodeCount++;
  }

  addEdge(from: number, to: number, label: number): void {
    this.from.push(from);
    this.to.push(to);
    this.label.push(label);
    this.steps.count++;
  }

  /** All edges are there: from now on it is walked. */
  seal(): this {
    const { from, nodes } = this;
    const first = new Int32Array(nodes + 1);
    for (const node of from) first[node + 1]!++;
    for (let node = 0; node < nodes; node++) first[node + 1]! += first[node] as number;
    const next = first.slice(0, nodes);
    const leaving = new Int32Array(from.length);
    for (let edge = 0; edge < from.length; edge++) leaving[next[from[edge] as number]!++] = edge;
    this.steps.count += nodes + 2 * from.length;
    this.#first = first;
    this.#leaving = leaving;
    return this;
  }

  firstLeaving(node: number): number {
    return this.#first[node] as number;
  }

  leaving(at: number): number {
    return this.#leaving[at] as number;
  }

  /** The component of each node; a node alone has one of its own. */
  components(): Int32Array {
    const { nodes, steps, to } = this;
    const component = new Int32Array(nodes).fill(-1);
    const order = new Int32Array(nodes).fill(-1);
    const low = new Int32Array(nodes);
    const next = this.#first.slice(0, nodes);
    /** The path that is being walked, and what was met on it that has no component yet. */
    const path = new Int32Array(nodes);
    const open = new Int32Array(nodes);
    let openCount = 0;
    let met = 0;
    let components = 0;
    for (let root = 0; root < nodes; root++) {
      if (order[root] !== -1) continue;
      let depth = 0;
      path[0] = root;
      order[root] = low[root] = met++;
      open[openCount++] = root;
      while (depth >= 0) {
        steps.count++;
        const node = path[depth] as number;
        if ((next[node] as number) < (this.#first[node + 1] as number)) {
          const below = to[this.#leaving[next[node]!++] as number] as number;
          if (order[below] === -1) {
            order[below] = low[below] = met++;
            open[openCount++] = below;
            path[++depth] = below;
          } else if (component[below] === -1) low[node] = Math.min(low[node] as number, order[below] as number);
          continue;
        }
        if (low[node] === order[node]) {
          let last: number;
          do {
            last = open[--openCount] as number;
            component[last] = components;
            steps.count++;
          } while (last !== node);
          components++;
        }
        depth--;
        if (depth >= 0) {
          const above = path[depth] as number;
          low[above] = Math.min(low[above] as number, low[node] as number);
        }
      }
    }
    return component;
  }
}
