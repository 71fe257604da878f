/** What users of the package import. Everything else is internal. */
export { CheckpointId } from './checkpoint/id.ts';
export { InMemoryCheckpointStore } from './checkpoint/in-memory-store.ts';
export { CheckpointManager } from './checkpoint/manager.ts';
export type { CheckpointPolicy } from './checkpoint/schedule.ts';
export { CheckpointState } from './checkpoint/state.ts';
export {
  defineJob,
  type ExpiredPolicy,
  type Job,
  type JobDefinition,
  type JobSource,
  type SourceRange,
} from './cli/job.ts';
export { decodeFrame, type EncodeFrameOptions, encodeFrame } from './codec/frame.ts';
export { type CheckpointView, viewFrame } from './codec/view.ts';
export type { CloseOptions } from './engine/closing.ts';
export { CheckpointEngine, type CheckpointSummary } from './engine/engine.ts';
export type { Event, PushOptions, U64 } from './engine/event.ts';
export type { EngineOptions } from './engine/options.ts';
export type { DeadLetter, QuarantinedStream } from './engine/quarantine.ts';
export { type ErrorCode, type NotDurable, TidemarkError } from './error.ts';
export type {
  HeapOperator,
  Operator,
  OperatorEvent,
  OperatorFactory,
  Slot,
  SlotOperator,
} from './shard/operator.ts';
export type {
  CheckpointStore,
  CommitBatch,
  FrameRef,
  RestorableCheckpoint,
  StoreContents,
} from './store/contract.ts';
