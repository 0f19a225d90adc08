// Packages of the native part, as a release needs them.
//   node packages/io-uring/native/pack.mjs linux-x64-gnu [file.node]   makes npm/linux-x64-gnu, to be published as @pagewright/io-uring-linux-x64-gnu
//   node packages/io-uring/native/pack.mjs --depend                     writes all of them into the optional dependencies of package.json
// The dependencies are written for a release alone: before one there is nothing in a registry that a lockfile could name.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);

/** Rust's name of each platform, and what npm is told of it. */
export const PLATFORMS = {
  'linux-x64-gnu': { target: 'x86_64-unknown-linux-gnu', cpu: 'x64', libc: 'glibc' },
  'linux-x64-musl': { target: 'x86_64-unknown-linux-musl', cpu: 'x64', libc: 'musl' },
  'linux-arm64-gnu': { target: 'aarch64-unknown-linux-gnu', cpu: 'arm64', libc: 'glibc' },
  'linux-arm64-musl': { target: 'aarch64-unknown-linux-musl', cpu: 'arm64', libc: 'musl' },
};

function own() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
}

/** Makes the folder of one platform's package, from a file that was built for it. Returns the folder. */
export function packageFor(platform, file = join(here, 'target', 'io-uring.node'), into = join(root, 'npm')) {
  const known = PLATFORMS[platform];
  if (known === undefined) throw new Error(`${platform} is none of ${Object.keys(PLATFORMS).join(', ')}.`);
  const { name, version, license, engines } = own();
  const folder = join(into, platform);
  mkdirSync(folder, { recursive: true });
  copyFileSync(file, join(folder, 'io-uring.node'));
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(
    join(folder, 'README.md'),
    `# ${name}-${platform}\n\nThe native part of \`${name}\` for ${known.target}.\n`,
  );
  const description = `The native part of ${name} for ${known.target}.`;
  const manifest = {
    ...{ name: `${name}-${platform}`, version, description, license, engines },
    ...{ os: ['linux'], cpu: [known.cpu], libc: [known.libc] },
    ...{ main: 'io-uring.node', files: ['io-uring.node', 'README.md', 'LICENSE'] },
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  return folder;
}

/** The manifest of the package, with those of its platforms as optional dependencies of the same version. */
export function manifestWithPlatforms() {
  const manifest = own();
  const names = Object.keys(PLATFORMS).map((platform) => [`${manifest.name}-${platform}`, manifest.version]);
  return { ...manifest, optionalDependencies: Object.fromEntries(names) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , what, file] = process.argv;
  if (what === '--depend') {
    writeFileSync(join(root, 'package.json'), `${JSON.stringify(manifestWithPlatforms(), null, 2)}\n`);
  } else console.log(packageFor(what, file));
}
