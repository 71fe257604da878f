/**
 * A bare `memory.copy` on an engine's memory: the physical limit that encoders are compared with. The
 * module below is the whole of it, assembled by hand so that nothing stands between it and the machine:
 *
 *   (import "engine" "memory" (memory 1 65536 shared))
 *   (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
 */
import type { EngineMemory } from '../src/memory/engine-memory.ts';

/** Copies `bytes` bytes from address `from` to address `to`. */
export type MemoryCopy = (to: number, from: number, bytes: number) => void;

const TYPE_SECTION = [0x01, 0x07, 0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x00];
const IMPORT_SECTION = [
  0x02,
  0x15,
  0x01,
  0x06,
  ...ascii('engine'),
  0x06,
  ...ascii('memory'),
  // A memory with a maximum, shared: at least 1 page, at most 65,536.
  0x02,
  0x03,
  0x01,
  0x80,
  0x80,
  0x04,
];
const FUNCTION_SECTION = [0x03, 0x02, 0x01, 0x00];
const EXPORT_SECTION = [0x07, 0x08, 0x01, 0x04, ...ascii('copy'), 0x00, 0x00];
const CODE_SECTION = [
  0x0a, 0x0e, 0x01, 0x0c, 0x00, 0x20, 0x00, 0x20, 0x01, 0x20, 0x02, 0xfc, 0x0a, 0x00, 0x00, 0x0b,
];

/** As much of WebAssembly's interface as is used here. */
interface WebAssemblyModules {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
}

export function makeMemoryCopy(memory: EngineMemory): MemoryCopy {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyModules }).WebAssembly;
  const bytes = Uint8Array.from([
    0x00,
    ...ascii('asm'),
    0x01,
    0x00,
    0x00,
    0x00,
    ...TYPE_SECTION,
    ...IMPORT_SECTION,
    ...FUNCTION_SECTION,
    ...EXPORT_SECTION,
    ...CODE_SECTION,
  ]);
  const { exports } = new Instance(new Module(bytes), { engine: { memory: memory.memory } });
  return exports['copy'] as MemoryCopy;
}

function ascii(text: string): number[] {
  return [...Buffer.from(text, 'ascii')];
}
