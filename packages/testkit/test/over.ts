/** What plants faults: a sound object of which some members were replaced. */
export function over<Whole extends object>(whole: Whole, changes: Partial<Whole>): Whole {
  return new Proxy(whole, {
    get(target, name) {
      const from = name in changes ? changes : target;
      const value: unknown = Reflect.get(from, name);
      return typeof value === 'function' ? value.bind(from) : value;
    },
  });
}
