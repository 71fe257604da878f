/**
 * Compiles the kernel and writes it, as text that every loader and bundler can carry, to
 * `build/kernel-code.ts`. Run by `npm run build`.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const folder = new URL('./', import.meta.url);
const FLAGS = [
  '--outFile=kernel.wasm',
  '--runtime=stub',
  '--importMemory',
  '--sharedMemory',
  '--initialMemory=1',
  '--maximumMemory=65536',
  '--enable=threads',
  '--enable=bulk-memory',
  '--enable=simd',
  '--noAssert',
  '-O3',
];

/** Names what the kernel was built from, so that a stale build is noticed. */
export function kernelSourceHash(): string {
  const assembly = new URL('assembly/', folder);
  const hash = createHash('sha256').update(FLAGS.join(' '));
  for (const file of readdirSync(assembly).sort())
    hash.update(file).update(readFileSync(new URL(file, assembly)));
  return hash.digest('hex');
}

async function compile(): Promise<Uint8Array> {
  let code: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    ['assembly/kernel.ts', ...FLAGS, `--baseDir=${fileURLToPath(folder)}`],
    {
      writeFile: (_name, contents) => {
        code = typeof contents === 'string' ? undefined : contents;
      },
    },
  );
  if (error !== null || code === undefined)
    throw new Error(`the kernel does not compile\n${stderr.toString()}`, { cause: error });
  return code;
}

if (import.meta.main) {
  const code = Buffer.from(await compile());
  mkdirSync(new URL('build/', folder), { recursive: true });
  writeFileSync(
    new URL('build/kernel-code.ts', folder),
    `// Written by build-kernel.ts from src/kernel/assembly.\nexport const KERNEL_SOURCE_HASH = '${kernelSourceHash()}';\nexport const KERNEL_CODE =\n  '${code.toString('base64')}';\n`,
  );
}
