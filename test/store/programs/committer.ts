/** Commits to the log of a directory until it is killed, and says on stdout what it is about to do and what is durable. */
import fs from 'node:fs';
import { nodePorts } from '../../../src/store/log/node-ports.ts';
import { openLog } from '../../../src/store/log/open-log.ts';
import { Random } from '../../support/random.ts';
import { type CommitterArgument, type CommitterReport, framesOf } from '../support/killed-lives.ts';
import { SOURCE } from '../support/ledger.ts';
import { codeOf } from '../support/log.ts';

const { directory, seed, sequence: from, options } = JSON.parse(process.argv[2] ?? '{}') as CommitterArgument;
const random = new Random(seed);
const STREAMS = Array.from({ length: 12 }, (_, i) => `stream-${i}`);

/** At once, so that a kill right after it does not unsay it. */
function report(what: CommitterReport): void {
  fs.writeSync(1, `${JSON.stringify(what)}\n`);
}

const { store, generation } = openLog(nodePorts, directory, options);
report({ generation: Number(generation) });
for (let sequence = from; ; sequence++) {
  const stream = random.pick(STREAMS);
  const newest = store.newest(stream)?.sequence;
  const kind = random.u32() / 2 ** 32;
  let code: string | undefined;
  if (newest !== undefined && kind < 0.04) {
    report({ forget: stream });
    code = codeOf(() => store.forget(stream));
  } else if (newest !== undefined && kind < 0.08) {
    report({ deleteBefore: stream, below: Number(newest) });
    code = codeOf(() => store.deleteBefore(stream, newest));
  } else {
    const streams = random.shuffle(STREAMS).slice(0, random.below(4));
    const sizes = streams.map((name): [string, number] => [name, random.magnitude(9000)]);
    report({ commit: sizes, sequence });
    const frontiers = new Map([[SOURCE, BigInt(sequence)]]);
    code = codeOf(() => store.commit({ frames: framesOf(sizes, sequence), frontiers, generation }));
  }
  report(code === undefined ? { done: true } : { refused: code });
  if (random.chance(0.3)) store.idleStep(random.chance(0.5));
}
