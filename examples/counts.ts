import { CheckpointEngine } from '../src/index.ts';

const engine = await CheckpointEngine.open({
  operators: new URL('./counts-operators.ts', import.meta.url),
  directory: process.argv[2] ?? './counts',
});
const from = Number(engine.position('numbers') ?? 0n); // after a crash: where to read on
for (let offset = from; offset < 100_000; offset += 1) {
  await engine.push({ stream: `s${offset % 10}`, payload: 'x', source: 'numbers', offset });
}
await engine.checkpoint(); // durable when it resolves
const count = (await engine.latest('s7'))?.operatorStates.get('count');
console.log(`read from ${from}, s7 has ${count && Buffer.from(count).readBigUInt64LE()} events`);
await engine.close();
