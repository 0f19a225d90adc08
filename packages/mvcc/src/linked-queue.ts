/**
 * A queue from which anything can be taken out at once. Its members carry their own links, so that joining and leaving
 * allocate nothing; a member is in one queue at most.
 */

/** What a member of the queue carries. Written by the queue alone. */
export interface Links<T> {
  ahead: T | null;
  behind: T | null;
}

export class LinkedQueue<T extends Links<T>> {
  first: T | null = null;
  last: T | null = null;
  count = 0;

  append(member: T): void {
    member.ahead = this.last;
    member.behind = null;
    if (this.last === null) this.first = member;
    else this.last.behind = member;
    this.last = member;
    this.count++;
  }

  /** The member must be in this queue. */
  remove(member: T): void {
    if (member.ahead === null) this.first = member.behind;
    else member.ahead.behind = member.behind;
    if (member.behind === null) this.last = member.ahead;
    else member.behind.ahead = member.ahead;
    member.ahead = null;
    member.behind = null;
    this.count--;
  }

  /** Forgets all members without visiting them; they must not be removed afterwards. */
  clear(): void {
    this.first = null;
    this.last = null;
    this.count = 0;
  }
}
