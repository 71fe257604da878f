/** `tally.ts` a version later: the slot has grown, the heap state has another form, and both can take the old one. */
import type { HeapOperator, Operator, SlotOperator } from '../../../src/index.ts';
import { tally as tallyBefore, words as wordsBefore } from './tally.ts';

/** Eight bytes more in front: what it was migrated from. */
const tally: SlotOperator = {
  ...tallyBefore,
  version: 2,
  bytes: 24,
  process({ payload }, { view }) {
    view.setBigUint64(8, view.getBigUint64(8, true) + 1n, true);
    for (const byte of payload) view.setBigUint64(16, view.getBigUint64(16, true) + BigInt(byte), true);
  },
  migrate(bytes, version) {
    const migrated = Buffer.alloc(24);
    migrated.writeBigUInt64LE(BigInt(version), 0);
    migrated.set(bytes, 8);
    return migrated;
  },
};

const words: HeapOperator<Map<string, number>> = {
  ...wordsBefore,
  version: 7,
  snapshot: (counts) => Buffer.concat([Buffer.from('v7:'), wordsBefore.snapshot(counts)]),
  restore: (bytes, version) => wordsBefore.restore(bytes.subarray(`v${version}:`.length), version),
  migrate: (bytes, version) => Buffer.concat([Buffer.from(`v${version + 6}:`), bytes]),
};

export default (): readonly Operator[] => [tally, words];
