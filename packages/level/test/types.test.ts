/** Types as those of classic-level: keys and values by default, or as the encodings of a call have them. */
import type { Engine } from 'pagewright';
import { expectTypeOf, test } from 'vitest';
import type { LevelTransaction, PagewrightLevel } from '../src/index.js';

interface User {
  readonly name: string;
}

declare const db: PagewrightLevel;
declare const users: PagewrightLevel<number, User>;

// Never run: it is there to be compiled.
function calls(): void {
  expectTypeOf(db.get('a')).toEqualTypeOf<Promise<string | undefined>>();
  expectTypeOf(users.getSync(1)).toEqualTypeOf<User | undefined>();
  expectTypeOf(users.getMany([1])).toEqualTypeOf<Promise<(User | undefined)[]>>();
  expectTypeOf(users.get<string, Buffer>('a', { keyEncoding: 'utf8', valueEncoding: 'buffer' })).toEqualTypeOf<
    Promise<Buffer | undefined>
  >();
  expectTypeOf(users.iterator({ highWaterMarkBytes: 1 }).next()).toEqualTypeOf<Promise<[number, User] | undefined>>();
  expectTypeOf(users.keys().all()).toEqualTypeOf<Promise<number[]>>();
  expectTypeOf(users.values().nextv(1)).toEqualTypeOf<Promise<User[]>>();
  expectTypeOf(users.put(1, { name: '' }, { sync: true })).toEqualTypeOf<Promise<void>>();
  expectTypeOf(users.batch().put(1, { name: '' }).write({ durability: 'none' })).toEqualTypeOf<Promise<void>>();
  expectTypeOf(db.engine).toEqualTypeOf<Engine>();
  expectTypeOf(db.sublevel('sub').get('a')).toEqualTypeOf<Promise<string | undefined>>();
  expectTypeOf(
    users.transaction((tx) => {
      expectTypeOf(tx).toEqualTypeOf<LevelTransaction<number, User>>();
      expectTypeOf(tx.get(1)).toEqualTypeOf<Promise<User | undefined>>();
      expectTypeOf(tx.get<string, string>('a', { sublevel: db.sublevel('sub') })).toEqualTypeOf<
        Promise<string | undefined>
      >();
      expectTypeOf(tx.values().all()).toEqualTypeOf<Promise<User[]>>();
      // @ts-expect-error a key is a number
      tx.put('a', { name: '' });
      return 1;
    }),
  ).toEqualTypeOf<Promise<number>>();
  // @ts-expect-error a value has a name
  users.put(1, {});
  // @ts-expect-error there is no such durability
  users.put(1, { name: '' }, { durability: 'maybe' });
}

test('types are checked when this file is compiled', () => {
  expectTypeOf(calls).toBeFunction();
});
