/** A commit policy on its stream, which may be somebody else's work. */
import {
  type CommitPolicy,
  type CommitPolicyOptions,
  type CommitPolicyType,
  isPagewrightError,
  type LogStream,
  PagewrightError,
} from '@pagewright/core/contracts';

/** Errors: `PW_PLUGIN_INVALID` if it cannot be attached, or what comes of that is no policy. */
export function attached(type: CommitPolicyType, stream: LogStream, options: CommitPolicyOptions): CommitPolicy {
  let policy: Partial<CommitPolicy> | null | undefined;
  try {
    policy = type.attach(stream, options);
  } catch (error) {
    if (isPagewrightError(error)) throw error;
    throw broken(type, `\`attach\` failed: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  if (typeof policy?.commit !== 'function' || typeof policy.commitSync !== 'function') {
    throw broken(type, '`attach` gives no policy: one has commit() and commitSync()');
  }
  return policy as CommitPolicy;
}

function broken({ name }: CommitPolicyType, fault: string, cause?: unknown): PagewrightError {
  return new PagewrightError(
    'PW_PLUGIN_INVALID',
    `The commit policy "${name}": ${fault}. This is its author's to correct.`,
    { details: { policy: name }, cause },
  );
}
