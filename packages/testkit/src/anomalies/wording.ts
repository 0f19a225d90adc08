/** How lists, operations and who did them are told. */
import {
  type List,
  nameOf,
  nameOfTag,
  type RecordedOperation,
  type RecordedTransaction,
} from './transaction-history.js';

/** The newest of a list are what matters. */
const MOST_SHOWN = 4;

export function listText(list: List): string {
  if (list === null) return 'absent';
  const shown = list.slice(-MOST_SHOWN).map(nameOfTag).join(' ');
  return list.length > MOST_SHOWN ? `[${list.length - MOST_SHOWN} more, ${shown}]` : `[${shown}]`;
}

/** `T1.3 reads key 5 as [1.1:0] (operation 2 of 4)`. Of a range, what it has of this key. */
export function deedText(transaction: RecordedTransaction, at: number, key?: number): string {
  const operation = transaction.operations[at] as RecordedOperation;
  return `${nameOf(transaction.id)} ${operationText(operation, key)} (operation ${at + 1} of ${transaction.operations.length})`;
}

function operationText(operation: RecordedOperation, key: number | undefined): string {
  switch (operation.type) {
    case 'read':
      return `reads key ${operation.key} as ${listText(operation.list)}`;
    case 'append':
      return `writes key ${operation.key} as ${listText(operation.list)}`;
    case 'delete':
      return `deletes key ${operation.key}, which has ${listText(operation.list)}`;
    case 'range': {
      const { from, to, entries } = operation;
      if (key === undefined)
        return `reads keys ${from} to ${to} and finds ${entries.map(([found]) => found).join(' ')}`;
      const list = entries.find(([found]) => found === key)?.[1] ?? null;
      return `reads keys ${from} to ${to}, and key ${key} as ${listText(list)}`;
    }
    case 'savepoint':
      return `makes savepoint ${operation.name}`;
    case 'rollback':
      return `goes back to savepoint ${operation.to}`;
  }
}
