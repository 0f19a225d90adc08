// An I/O backend around another, whose operations that change something go through a hook: it performs them, or does not.

const OF_BACKEND = ['makeDirectory', 'remove', 'removeDirectory', 'rename', 'syncDirectory'];
// The forms that run now have the same names for the hook.
const OF_FILE = {
  write: 'write',
  writeSync: 'write',
  sync: 'sync',
  syncSync: 'sync',
  submit: 'submit',
  submitSync: 'submit',
};
const MORE_OF_FILE = { truncate: 'truncate', truncateSync: 'truncate', allocate: 'allocate', allocateSync: 'allocate' };

/**
 * `hook(operation, perform)` returns what the operation is to return, in most cases what `perform()` returns. A batch with a sync is one
 * operation, as the backend has it, or with `splits` two: one that submits, and one that syncs.
 */
export function hooked(backend, hook, { splits = true } = {}) {
  return around(backend, {
    ...Object.fromEntries(OF_BACKEND.map((name) => [name, (...args) => hook(name, () => backend[name](...args))])),
    // What a thread did with files of its own would go past the hook.
    module: undefined,
    open: async (path, flags) => hookedFile(await hook('open', () => backend.open(path, flags)), hook, splits),
  });
}

function hookedFile(file, hook, splits) {
  const replaced = Object.entries({ ...OF_FILE, ...MORE_OF_FILE }).map(([method, name]) => [
    method,
    (...args) => hook(name, () => file[method](...args)),
  ]);
  if (!splits) return around(file, Object.fromEntries(replaced));
  // A sync that comes with a batch is a sync.
  const submit = async (operations, options) => {
    await hook('submit', () => file.submit(operations));
    if (options?.sync === true) await hook('sync', () => file.sync());
  };
  const submitSync = (operations, options) => {
    hook('submit', () => file.submitSync(operations));
    if (options?.sync === true) hook('sync', () => file.syncSync());
  };
  return around(file, { ...Object.fromEntries(replaced), submit, submitSync });
}

/** The object with some of its methods replaced; the others run as methods of the object itself. */
function around(object, replaced) {
  return new Proxy(object, {
    get(target, name) {
      if (Object.hasOwn(replaced, name)) return replaced[name];
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
