/** The commit policy suite finds each fault that was planted in a policy, and nothing in sound ones. */
import type { CommitPolicy, CommitPolicyType, LogPosition, LogStream } from '@pagewright/core';
import { autonomousPolicy, BUILT_IN_POLICIES, pipelinedPolicy, syncPolicy } from '@pagewright/wal';
import { describe, expect, test } from 'vitest';
import { brokenClauses, type CommitPolicyCapability, commitPolicySuite, type Manifest } from '../src/index.js';
import { POLICY_OPTIONS } from '../src/rig/commit-session.js';

const ALL: Manifest<CommitPolicyCapability> = { shares: true, timerless: true };

/** The ids of the clauses that the policy breaks. */
async function brokenBy(attach: CommitPolicyType['attach'], manifest = ALL): Promise<string[]> {
  const broken = await brokenClauses(commitPolicySuite, { create: () => ({ name: 'planted', attach }) }, manifest);
  return broken.map(({ id }) => id);
}

/** A sound policy with some of its methods replaced. */
function faulty(change: (stream: LogStream, sound: CommitPolicy) => Partial<CommitPolicy>): CommitPolicyType['attach'] {
  return (stream) => {
    const sound = pipelinedPolicy.attach(stream, POLICY_OPTIONS);
    const changed = change(stream, sound);
    return {
      commit: changed.commit ?? ((position) => sound.commit(position)),
      commitSync: changed.commitSync ?? ((position) => sound.commitSync(position)),
    };
  };
}

/** Gathers commits for a moment, then flushes once: a policy with a timer, and a sound one. */
const gathering: CommitPolicyType['attach'] = (stream) => {
  let flush: Promise<unknown> = Promise.resolve();
  let gathered: Promise<void> | null = null;
  const gather = async () => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    await flush.catch(() => undefined);
    gathered = null;
    const mine = stream.flush();
    flush = mine;
    await mine;
  };
  return {
    commit: (position) => {
      if (position <= stream.durable) return Promise.resolve();
      gathered ??= gather();
      return gathered;
    },
    commitSync: (position) => {
      if (position > stream.durable) stream.flushSync();
    },
  };
};

describe('the commit policy suite', () => {
  test.each(
    BUILT_IN_POLICIES.map((policy) => [policy.name, policy] as const),
  )('finds nothing in the policy %s', async (name, { attach }) => {
    const manifest = { shares: name !== 'sync', timerless: name !== 'group', overlaps: name === 'autonomous' };
    expect(await brokenBy(attach, manifest)).toEqual([]);
  });

  test.each<[string, CommitPolicyType['attach'], string[]]>([
    ['writes one after another', pipelinedPolicy.attach, ['writes-overlap', 'depends-first']],
    ['begins a write for each commit', writesEach, ['writes-overlap']],
    [
      'waits for all that lies before',
      (stream, options) => {
        const sound = autonomousPolicy.attach(stream, options);
        return { commit: (position) => sound.commit(position), commitSync: (position) => sound.commitSync(position) };
      },
      ['depends-first'],
    ],
    ['acknowledges with its own write alone', withItsWrite(false), ['depends-first', 'any-order-of-writes']],
    ['takes for written what another one has taken', withItsWrite(true), ['taken-by-others']],
  ])('finds a policy with writes that overlap that %s', async (_, attach, clauses) => {
    expect(await brokenBy(attach, { ...ALL, overlaps: true })).toEqual(expect.arrayContaining(clauses));
  });

  test('finds nothing in a policy that gathers commits by a timer, and says so', async () => {
    expect(await brokenBy(gathering, { shares: true })).toEqual([]);
    expect(await brokenBy(gathering)).toEqual(['no-timer']);
  });

  test.each<[string, CommitPolicyType['attach'], string[]]>([
    [
      'acknowledges before the flush',
      faulty((_, sound) => ({
        commit: async (position) => {
          void sound.commit(position);
        },
      })),
      ['durable-first', 'own-flush', 'failure-rejects'],
    ],
    ['acknowledges by the flush that is under way', acknowledgesByCurrentFlush, ['own-flush']],
    ['does not flush again for what came during a flush', forgetsWhatCameMeanwhile, ['nothing-follows']],
    [
      'asks for a flush for each commit, at once',
      faulty((stream) => ({
        commit: async () => {
          await stream.flush();
        },
      })),
      ['one-flush-at-a-time', 'shared-flush'],
    ],
    ['acknowledges in the wrong order', acknowledgesBackwards, ['in-order', 'any-order-of-events']],
    [
      'asks for flushes for ever',
      faulty((stream, sound) => {
        const again = (): Promise<unknown> => stream.flush().then(again);
        let begun = false;
        return {
          commit: async (position) => {
            await sound.commit(position);
            if (!begun) again().catch(() => undefined);
            begun = true;
          },
        };
      }),
      ['no-idle-work'],
    ],
    [
      'flushes in place only when no flush is under way',
      (stream) => {
        let flushing = false;
        const sound = pipelinedPolicy.attach(
          {
            get appended() {
              return stream.appended;
            },
            get durable() {
              return stream.durable;
            },
            flush: async () => {
              flushing = true;
              return stream.flush().finally(() => {
                flushing = false;
              });
            },
            flushSync: () => (flushing ? stream.durable : stream.flushSync()),
            get durableTimestamp() {
              return stream.durableTimestamp;
            },
            get unwritten() {
              return stream.unwritten;
            },
            write: () => stream.write(),
            until: (isReached) => stream.until(isReached),
          },
          POLICY_OPTIONS,
        );
        return sound;
      },
      ['sync-during-flush'],
    ],
    [
      'waits in place by looking at what is durable',
      faulty((stream) => ({
        commitSync: (position) => {
          while (stream.durable < position) {
            /* someone will flush */
          }
        },
      })),
      ['sync-durable', 'sync-during-flush'],
    ],
    ['forgets who waits when it flushes in place', forgetsWaiting, ['sync-beside-waiting']],
    [
      'swallows the failure',
      faulty((_, sound) => ({ commit: (position) => sound.commit(position).catch(() => undefined) })),
      ['failure-rejects', 'failure-is-final', 'failure-in-place'],
    ],
    [
      'tries again until it works',
      faulty((stream) => ({
        commit: async (position) => {
          while (stream.durable < position) await stream.flush().catch(() => undefined);
        },
      })),
      ['failure-rejects', 'failure-is-final'],
    ],
    [
      'fails with an error of its own',
      faulty((_, sound) => ({
        commit: (position) =>
          sound.commit(position).catch(() => {
            throw new Error('the log has failed');
          }),
      })),
      ['failure-rejects', 'failure-is-final', 'failure-in-place'],
    ],
    [
      'is silent when flushing in place fails',
      faulty((_, sound) => ({
        commitSync: (position) => {
          try {
            sound.commitSync(position);
          } catch {
            // The next flush will do it.
          }
        },
      })),
      ['failure-is-final', 'failure-in-place'],
    ],
    ['makes a flush for each commit', syncPolicy.attach, ['shared-flush', 'durable-needs-no-flush']],
  ])('finds a policy that %s', async (_, attach, clauses) => {
    expect(await brokenBy(attach)).toEqual(expect.arrayContaining(clauses));
  });
});

function writesEach(stream: LogStream): CommitPolicy {
  return {
    commit: async (position) => {
      await stream.write()?.over;
      await stream.until(() => stream.durable >= position);
    },
    commitSync: () => void stream.flushSync(),
  };
}

/** Acknowledges when its write is over; with `beneath`, if what it depends on is durable, but also if there was nothing left to write. */
function withItsWrite(beneath: boolean): CommitPolicyType['attach'] {
  return (stream) => ({
    commit: async (position, dependsOn = Number.POSITIVE_INFINITY) => {
      if (position <= stream.durable) return;
      await stream.write()?.over;
      if (beneath) await stream.until(() => position <= stream.durable || dependsOn <= stream.durableTimestamp);
    },
    commitSync: () => void stream.flushSync(),
  });
}

function acknowledgesByCurrentFlush(stream: LogStream): CommitPolicy {
  let flush: Promise<unknown> | null = null;
  return {
    commit: async () => {
      flush ??= stream.flush().finally(() => {
        flush = null;
      });
      await flush;
    },
    commitSync: () => void stream.flushSync(),
  };
}

function forgetsWhatCameMeanwhile(stream: LogStream): CommitPolicy {
  let waiting: { position: LogPosition; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let flushing = false;
  return {
    commit: (position) =>
      new Promise((resolve, reject) => {
        waiting.push({ position, resolve, reject });
        if (flushing) return;
        flushing = true;
        stream.flush().then(
          (durable) => {
            flushing = false;
            for (const commit of waiting) if (commit.position <= durable) commit.resolve();
            waiting = waiting.filter((commit) => commit.position > durable);
          },
          (error) => {
            for (const commit of waiting.splice(0)) commit.reject(error);
          },
        );
      }),
    commitSync: () => void stream.flushSync(),
  };
}

function acknowledgesBackwards(stream: LogStream): CommitPolicy {
  const sound = pipelinedPolicy.attach(stream, POLICY_OPTIONS);
  const waiting: (() => void)[] = [];
  return {
    commit: (position) => {
      const durable = sound.commit(position);
      return new Promise((resolve, reject) => {
        waiting.push(resolve);
        durable.then(() => setImmediate(() => waiting.pop()?.()), reject);
      });
    },
    commitSync: (position) => sound.commitSync(position),
  };
}

function forgetsWaiting(stream: LogStream): CommitPolicy {
  let generation = 0;
  const sound = pipelinedPolicy.attach(stream, POLICY_OPTIONS);
  return {
    commit: async (position) => {
      const mine = generation;
      await sound.commit(position);
      if (mine !== generation) await new Promise(() => undefined);
    },
    commitSync: (position) => {
      generation++;
      sound.commitSync(position);
    },
  };
}
