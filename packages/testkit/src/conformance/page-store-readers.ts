/** Clauses about readers in other processes: what they see beside a writer, and what the writer keeps for them. */
import assert from 'node:assert/strict';
import { type IoBackend, type IoFile, isPagewrightError, type PageStore } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { keepSome } from '../device/survival.js';
import { Random } from '../random.js';
import {
  clause,
  crashed,
  type OpenStore,
  type PageStoreClause,
  rejectionOf,
  SMALL,
  STORE,
  type Stores,
  thrownBy,
} from './page-store-subject.js';
import { type PageModel, PageTree } from './page-tree.js';
import { PageTreeDriver } from './page-tree-driver.js';
import { WatchedFiles } from './watched-files.js';

const READING = { readOnly: true, create: false, frames: SMALL } as const;
/** Changes between two checkpoints, enough that little stays where it was. */
const MANY = 250;

export const readerClauses: readonly PageStoreClause[] = [
  clause(
    'reads-beside-a-writer',
    ['C7'],
    'reads the newest checkpoint of a store beside the one that writes it, and beside others; none keeps a writer out, or in',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const writer = await beginWriting(stores, 1);
      const { files } = writer;
      const first = await stores.open(files, READING);
      new PageTree(first.pages).check(writer.durable);
      writer.run(50);
      const second = await stores.open(files, READING);
      new PageTree(second.pages).check(writer.durable);
      await writer.pages.close();
      assert.equal(files.locked.size, 0, 'A reader has locked the file.');
      const again = await stores.open(files, { create: false });
      const third = await stores.open(files, READING);
      for (const { pages } of [first, second, again, third]) new PageTree(pages).check(writer.durable);
    },
  ),
  clause(
    'reader-changes-nothing',
    ['C5', 'C7'],
    'writes and syncs nothing of the file that it is open read-only on, and locks nothing, also when it goes on to a later checkpoint',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const writer = await beginWriting(stores, 2);
      const used = new Set<string>();
      const noted = (file: IoFile): IoFile =>
        new Proxy(file, {
          get(target, name) {
            const value: unknown = Reflect.get(target, name);
            if (typeof value !== 'function') return value;
            used.add(String(name));
            return value.bind(target);
          },
        });
      const { pages } = await openReader(stores, writer.files, noted);
      new PageTree(pages).check(writer.durable);
      await writer.run(MANY).checkpoint();
      await pages.follow(() => {});
      new PageTree(pages).check(writer.durable);
      await pages.close();
      for (const name of ['write', 'sync', 'writeBack', 'truncate', 'allocate', 'lock']) {
        const found = [...used].filter((method) => method === name || method === `${name}Sync`);
        assert.deepEqual(found, [], 'It has changed the file, or tried to.');
      }
    },
  ),
  clause(
    'keeps-what-is-read',
    ['C4', 'C7'],
    'keeps all that a reader reads, however often everything is overwritten, and uses the space again once the reader is gone (scenario 24)',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      for (const seed of [3, 4]) {
        const writer = await beginWriting(stores, seed);
        const { pages } = await stores.open(writer.files, READING);
        const tree = new PageTree(pages);
        const before = writer.durable;
        for (let round = 0; round < 12; round++) {
          await writer.run(MANY).checkpoint();
          tree.check(before);
        }
        assert.equal(writer.pages.stats().readers, 1, 'The writer has not seen the reader.');
        const kept = writer.pages.stats().retainedFileBytes;
        await pages.close();
        await assertGivenBack(writer, kept, 'closed');
      }
    },
  ),
  clause(
    'reader-opens-in-between',
    ['C7'],
    'reads a whole checkpoint, whatever the writer does between any two steps of its opening (scenario 24)',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      for (const step of ['before', 'after'] as const) {
        for (const checkpoints of [0, 1, 2, 3]) {
          const writer = await beginWriting(stores, 10 + checkpoints);
          const held = new Map<number, PageModel | null>([[writer.tree.timestamp, writer.durable]]);
          const write = async (): Promise<void> => {
            writer.run(MANY);
            await writer.checkpoint().then(({ mark }) => held.set(mark.timestamp, writer.durable));
          };
          const meanwhile = async (): Promise<void> => {
            for (let round = 0; round < checkpoints; round++) await write();
          };
          const pinning = (file: IoFile): IoFile =>
            changed(file, {
              publishPin: async (text: string) => {
                if (step === 'before') await meanwhile();
                const pin = await file.publishPin?.(text);
                if (step === 'after') await meanwhile();
                if (pin === undefined) throw new Error('The device has no pins');
                return pin;
              },
            });
          const { pages, state } = await openReader(stores, writer.files, pinning);
          for (let round = 0; round < 3; round++) {
            await write();
            new PageTree(pages).check(held.get(state.mark.timestamp) ?? null);
          }
        }
      }
    },
  ),
  clause(
    'dead-readers-keep-nothing',
    ['C4', 'C7'],
    'uses the space of readers again that have died, with the machine or alone (scenario 24)',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const writer = await beginWriting(stores, 5);
      await stores.open(writer.files, READING);
      for (let round = 0; round < 8; round++) await writer.run(MANY).checkpoint();
      const kept = writer.pages.stats().retainedFileBytes;
      const atCrash = writer.durable;
      const files = crashed(new WatchedFiles(writer.files.device.copy()), keepSome(1));
      writer.files.device.loseReaders();
      await assertGivenBack(writer, kept, 'dead');
      const { pages } = await stores.open(files, { create: false, frames: SMALL });
      new PageTree(pages).check(atCrash);
      const retained = pages.stats().retainedFileBytes;
      assert.ok(retained < kept / 2, `After a crash of all, ${retained} of ${kept} bytes are kept for nobody.`);
    },
  ),
  clause(
    'readers-outlive-writers',
    ['C4', 'C5', 'C7'],
    'keeps what is read when the writer is closed or dies and another one goes on',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      for (const end of ['close', 'kill'] as const) {
        let writer = await beginWriting(stores, 7);
        const reader = await stores.open(writer.files, READING);
        const tree = new PageTree(reader.pages);
        const before = writer.durable;
        for (let life = 0; life < 4; life++) {
          for (let round = 0; round < 3; round++) await writer.run(MANY).checkpoint();
          if (end === 'close') await writer.pages.close();
          const files = end === 'close' ? writer.files : new WatchedFiles(writer.files.device);
          const { pages } = await stores.open(files, { create: false, frames: SMALL });
          const next = Object.assign(new PageTreeDriver(pages, new Random(life)), { files });
          next.resume(writer.durable, writer.tree.timestamp);
          writer = next;
          tree.check(before);
        }
      }
    },
  ),
  clause(
    'follows-the-writer',
    ['C7'],
    'goes on to the newest checkpoint when it is asked to, pages, state and all in one step, and tells when there is none',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const writer = await beginWriting(stores, 8);
      const { pages } = await stores.open(writer.files, READING);
      const tree = new PageTree(pages);
      assert.equal(await pages.follow(() => {}), null, 'It has gone on to what it read already.');
      for (let round = 0; round < 10; round++) {
        tree.check(writer.durable);
        const { epoch, mark } = await writer.run(MANY).checkpoint();
        let calls = 0;
        const state = await pages.follow((moved) => {
          calls++;
          assert.deepEqual([moved.epoch, moved.mark], [epoch, mark]);
          tree.check(writer.durable);
        });
        assert.equal(calls, 1, `It has called back ${calls} times.`);
        assert.equal(state?.epoch, epoch);
        const { freeFrames, frames, pinnedEpoch } = pages.stats();
        assert.ok(freeFrames <= frames);
        assert.equal(pinnedEpoch, epoch, 'It keeps the writer from using what it does not read any more.');
      }
      assert.equal(await pages.follow(() => {}), null, 'It has gone on to what it read already.');
      assert.equal(await writer.pages.follow(() => {}), null, 'The writer has followed itself.');
      // A crowd of frames that nobody gave back would be found by now.
      tree.check(writer.durable);
    },
  ),
  clause(
    'follows-while-pages-are-read',
    ['C7'],
    'shows nothing of the checkpoint before, of which pages are being read while it goes on',
    ['files', 'eviction', 'faulting', 'readers'],
    async (stores) => {
      const writer = await beginWriting(stores, 9);
      const { pages } = await stores.open(writer.files, READING);
      const tree = new PageTree(pages);
      for (let round = 0; round < 8; round++) {
        pages.faulting = true;
        const reads: Promise<unknown>[] = [];
        for (let slot = 0; slot < tree.fanout; slot++) {
          try {
            tree.numberAt([slot]);
          } catch {
            reads.push(pages.loadFault().catch(() => {}));
          }
        }
        pages.faulting = false;
        await writer.run(MANY).checkpoint();
        await Promise.all([...reads, pages.follow(() => {})]);
        tree.check(writer.durable);
      }
    },
  ),
  clause(
    'overtaken-is-told',
    ['C7'],
    'gives right bytes or PW_SNAPSHOT_TOO_OLD where nothing can be written beside the store, and reads on after it has followed',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const writer = await beginWriting(stores, 11);
      writer.files.device.pinsRefused = true;
      const { pages } = await stores.open(writer.files, READING);
      assert.equal(pages.stats().pinnedEpoch, null, 'It says that the writer keeps what it reads.');
      const tree = new PageTree(pages);
      let read = writer.durable;
      let overtaken = 0;
      for (let round = 0; round < 20; round++) {
        try {
          tree.check(read);
        } catch (error) {
          assert.ok(isPagewrightError(error, 'PW_SNAPSHOT_TOO_OLD'), `It answers ${String(error)}.`);
          assert.equal(typeof error.details.checkpoint, 'number');
          overtaken++;
          await pages.follow(() => {});
          read = writer.durable;
          tree.check(read);
        }
        await writer.run(MANY).checkpoint();
      }
      assert.ok(overtaken > 2, 'The writer has kept what nobody asked it to keep.');
    },
  ),
  clause(
    'damage-is-told-from-overtaking',
    ['C7'],
    'reports a page that is damaged as PW_CORRUPT_PAGE beside a writer too, as long as a superblock names its checkpoint',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const writer = await beginWriting(stores, 12);
      const { files } = writer;
      await writer.pages.close();
      const { pages } = await stores.open(files, READING);
      for (const { path, offset, bytes } of files.writes) {
        if (path === STORE && offset >= 8192) files.device.flip(path, offset + bytes.length - 1, 0);
      }
      const error = thrownBy(() => new PageTree(pages).check(writer.durable));
      assert.ok(isPagewrightError(error, 'PW_CORRUPT_PAGE'), `It answers ${String(error)}.`);
    },
  ),
  clause(
    'reader-waits-for-superblocks',
    ['C7'],
    'looks again if a superblock seems to be half-written, and reports it if it stays so',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const writer = await beginWriting(stores, 13);
      await writer.pages.close();
      const torn = (times: number) => {
        let left = times;
        return (file: IoFile): IoFile =>
          changed(file, {
            read: async (buffer: Uint8Array, offset: number) => {
              await file.read(buffer, offset);
              if (offset > 0 || left-- <= 0) return;
              buffer[100] = (buffer[100] ?? 0) ^ 1;
              buffer[4196] = (buffer[4196] ?? 0) ^ 1;
            },
          });
      };
      const { pages } = await openReader(stores, writer.files, torn(3));
      new PageTree(pages).check(writer.durable);
      const error = await rejectionOf(openReader(stores, writer.files, torn(Number.POSITIVE_INFINITY)));
      assert.ok(isPagewrightError(error, 'PW_CORRUPT_FILE'), `It answers ${String(error)}.`);
    },
  ),
];

type Writer = PageTreeDriver & { readonly files: WatchedFiles };

/** A store with a checkpoint that has more pages than a reader's memory. */
async function beginWriting(stores: Stores, seed: number): Promise<Writer> {
  const files = new WatchedFiles(new SimulatedDevice());
  const { pages } = await stores.open(files, { frames: SMALL });
  const writer = Object.assign(new PageTreeDriver(pages, new Random(seed)), { files });
  await writer.run(600).checkpoint();
  return writer;
}

/** A reader whose file is reached through this. */
function openReader(stores: Stores, files: WatchedFiles, change: (file: IoFile) => IoFile): Promise<OpenStore> {
  const open: IoBackend['open'] = async (path, flags) => change(await files.open(path, flags));
  return stores.open(files, { ...READING, io: changed<IoBackend>(files, { open }) });
}

function changed<Target extends object>(target: Target, changes: Partial<Target>): Target {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(changes, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function assertGivenBack(writer: Writer, kept: number, what: string): Promise<void> {
  for (let round = 0; round < 2; round++) await writer.run(10).checkpoint();
  const { readers, retainedFileBytes } = (writer.pages as PageStore).stats();
  assert.equal(readers, 0, `A reader that is ${what} counts still.`);
  assert.ok(
    retainedFileBytes < kept / 2,
    `${retainedFileBytes} of ${kept} bytes are kept for a reader that is ${what}.`,
  );
}
