import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { everythingSurvives, type Loss, lossOfPower, nothingSurvives, someSurvives } from '../../src/index.js';
import { JournalWriter } from './journal-writer.js';

const SEEDS = Array.from({ length: 300 }, (_, seed) => seed);
const ANY_LOSS: readonly Loss[] = [nothingSurvives, everythingSurvives, ...SEEDS.map(someSurvives)];

let before: string;
let journal: JournalWriter;

beforeEach(() => {
  before = mkdtempSync(join(tmpdir(), 'pagewright-loss-'));
  journal = new JournalWriter();
});
afterEach(() => rmSync(before, { recursive: true }));

/** The file's text after the loss; undefined if it is not there. */
function textAfter(loss: Loss, path = '/file', bytes = journal.bytes): string | undefined {
  const found = lossOfPower(before, bytes, [loss])[0]!.files.get(path);
  return found && Buffer.from(found).toString();
}

/** All that may be there, over many losses. */
function textsAfter(path = '/file'): Set<string | undefined> {
  return new Set(ANY_LOSS.map((loss) => textAfter(loss, path)));
}

function sectors(...letters: string[]): string {
  return letters.map((letter) => letter.repeat(512)).join('');
}

describe('a loss of power', () => {
  it('leaves what was there before the process began', () => {
    mkdirSync(join(before, 'directory'));
    writeFileSync(join(before, 'directory', 'file'), 'old');
    expect(textsAfter('/directory/file')).toEqual(new Set(['old']));
  });

  it('leaves what a completed sync covers, and whatever is chosen of the rest', () => {
    journal.file(1, '/file');
    journal.add('write', { object: 1, offset: 0, data: sectors('a', 'b') });
    journal.sync(1);
    journal.add('write', { object: 1, offset: 0, data: sectors('x', 'y') });
    expect(textAfter(nothingSurvives)).toBe(sectors('a', 'b'));
    expect(textAfter(everythingSurvives)).toBe(sectors('x', 'y'));
    const torn = [sectors('a', 'b'), sectors('x', 'b'), sectors('a', 'y'), sectors('x', 'y')];
    expect(textsAfter()).toEqual(new Set(torn));
  });

  it('leaves a sector as it was after one of its writes, never a later one without an earlier', () => {
    journal.file(1, '/file');
    journal.add('write', { object: 1, offset: 0, data: 'aaaa' });
    journal.sync(1);
    journal.add('write', { object: 1, offset: 0, data: 'x' });
    journal.add('write', { object: 1, offset: 2, data: 'y' });
    expect(textsAfter()).toEqual(new Set(['aaaa', 'xaaa', 'xaya']));
  });

  it('does not count what was written while a sync was under way', () => {
    journal.file(1, '/file');
    journal.add('write', { object: 1, data: 'before' });
    const begun = journal.add('sync', { object: 1 });
    journal.add('write', { object: 1, data: 'during' });
    journal.add('synced', { reference: begun });
    expect(textAfter(nothingSurvives)).toBe('before');
  });

  it('does not count a sync that had not come back', () => {
    journal.file(1, '/file');
    journal.add('write', { object: 1, data: 'written' });
    journal.add('sync', { object: 1 });
    expect(textAfter(nothingSurvives)).toBe('');
  });

  it('does not count a sync of another file', () => {
    journal.file(1, '/file');
    journal.file(2, '/other');
    journal.add('write', { object: 1, data: 'written' });
    journal.sync(2);
    expect(textAfter(nothingSurvives)).toBe('');
  });

  it('takes what a failed sync did not write, though a later sync succeeds', () => {
    journal.file(1, '/file');
    journal.add('write', { object: 1, offset: 0, data: sectors('a') });
    journal.sync(1, 5);
    journal.add('write', { object: 1, offset: 512, data: sectors('b') });
    journal.sync(1);
    expect(textAfter(nothingSurvives)).toBe(sectors('\0', 'b'));
    expect(textAfter(everythingSurvives)).toBe(sectors('a', 'b'));
  });

  it('keeps and loses sizes for themselves', () => {
    journal.file(1, '/file');
    journal.add('write', { object: 1, data: 'long' });
    journal.sync(1);
    journal.add('resize', { object: 1, offset: 2 });
    journal.add('extend', { object: 1, offset: 6 });
    expect(textsAfter()).toEqual(new Set(['long', 'long\0\0', 'lo', 'lo\0\0\0\0', 'lo\0\0']));
    journal.sync(1);
    expect(textsAfter()).toEqual(new Set(['lo\0\0\0\0']));
  });

  it('counts of a write that was cut short what was written', () => {
    journal.file(1, '/file');
    const write = journal.add('write', { object: 1, data: 'written' });
    journal.add('cut-short', { object: 1, offset: 3, reference: write });
    journal.sync(1);
    expect(textsAfter()).toEqual(new Set(['wri']));
  });

  it('counts a last record that is cut short, anywhere, as never written', () => {
    journal.file(1, '/file');
    journal.add('write', { object: 1, data: 'old' });
    const whole = journal.bytes.length;
    journal.add('write', { object: 1, data: 'new' });
    for (let length = whole; length < journal.bytes.length; length++) {
      expect(textAfter(everythingSurvives, '/file', journal.bytes.subarray(0, length))).toBe('old');
    }
  });

  it('does not take another file for a journal', () => {
    expect(() => textAfter(nothingSurvives, '/file', Buffer.alloc(100, 1))).toThrow(/no record at 0/);
  });
});

describe('names after a loss of power', () => {
  it('are there for certain once their directory was synced, not when the file was', () => {
    journal.add('create', { object: 1, data: '/file' });
    journal.add('write', { object: 1, data: 'written' });
    journal.sync(1);
    expect(textsAfter()).toEqual(new Set([undefined, 'written']));
    journal.syncDirectory();
    expect(textsAfter()).toEqual(new Set(['written']));
  });

  it('are the old or the new one until the directory of a rename was synced', () => {
    journal.file(1, '/file');
    journal.add('rename', { data: '/file\0/new' });
    const found = ANY_LOSS.map((loss) => [...lossOfPower(before, journal.bytes, [loss])[0]!.files.keys()].join());
    expect(new Set(found)).toEqual(new Set(['/file', '/new']));
    journal.syncDirectory();
    expect(textsAfter('/file')).toEqual(new Set([undefined]));
    expect(textsAfter('/new')).toEqual(new Set(['']));
  });

  it('come back if their removal was not synced', () => {
    journal.file(1, '/file');
    journal.add('unlink', { data: '/file' });
    expect(textsAfter()).toEqual(new Set([undefined, '']));
    journal.syncDirectory();
    expect(textsAfter()).toEqual(new Set([undefined]));
  });

  it('lead to one file when they are linked', () => {
    journal.file(1, '/file');
    journal.add('link', { data: '/file\0/second' });
    journal.add('write', { object: 1, data: 'written' });
    journal.sync(1);
    journal.syncDirectory();
    journal.add('unlink', { data: '/file' });
    journal.syncDirectory();
    expect(textsAfter('/second')).toEqual(new Set(['written']));
  });

  it('go with the directory that they are in', () => {
    journal.add('make-directory', { data: '/directory' });
    journal.add('create', { object: 1, data: '/directory/file' });
    journal.syncDirectory('/directory');
    expect(textsAfter('/directory/file')).toEqual(new Set([undefined, '']));
    journal.syncDirectory();
    expect(textsAfter('/directory/file')).toEqual(new Set(['']));
  });

  it('are all durable after a sync of the file system', () => {
    journal.add('make-directory', { data: '/directory' });
    journal.add('create', { object: 1, data: '/directory/file' });
    journal.add('write', { object: 1, data: 'written' });
    journal.sync(0);
    expect(textsAfter('/directory/file')).toEqual(new Set(['written']));
  });
});
