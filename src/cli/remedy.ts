/** What a user does about each error: the end of the line that the command prints, and README's table. */
import type { ErrorCode } from '../error.ts';

export const REMEDIES: Readonly<Record<ErrorCode, string>> = {
  ERR_TIDEMARK_INVALID_ARGUMENT: "correct the value; 'tidemark --help' and README list what is allowed",
  ERR_TIDEMARK_DESERIALIZATION: 'these bytes are no checkpoint body; read them from where they were written',
  ERR_TIDEMARK_DAMAGED_FRAME: "use an older checkpoint; 'tidemark verify DIR' lists all damage",
  ERR_TIDEMARK_CLOSED: 'open a new engine; what was durable is restored',
  ERR_TIDEMARK_SHARD_EXITED: 'see the cause, then open the engine again; what was durable is restored',
  ERR_TIDEMARK_OPERATOR: 'correct the operator or the event it names, then run again; durable state is kept',
  ERR_TIDEMARK_ASYNC_OPERATOR: 'make the operator synchronous; do I/O before push or on results',
  ERR_TIDEMARK_OPERATORS_MODULE: 'make the operators module load and export a function of valid operators',
  ERR_TIDEMARK_WORKER_LOAD: "keep tidemark's worker files beside it (mark it external) or set workersUrl",
  ERR_TIDEMARK_STATE_VERSION: 'give the operator a migrate(bytes, version), or go back to its old version',
  ERR_TIDEMARK_UNCLAIMED_STATE: 'bring the operator back, or set allowUnclaimedState to drop its state',
  ERR_TIDEMARK_PAYLOAD_TOO_LARGE: 'raise memory.ringBytes or split the event',
  ERR_TIDEMARK_MEMORY_FULL: 'raise memory.bytes, or keep fewer or smaller states',
  ERR_TIDEMARK_STORE_FULL:
    'forget streams that are over or free the disk; or raise retain.diskBytes and open again',
  ERR_TIDEMARK_STORE_FAILED: 'see the cause (space, permissions, device), then open again',
  ERR_TIDEMARK_NOT_DURABLE:
    'push again what its notDurable lists, or read the source again; or give close more time',
  ERR_TIDEMARK_QUARANTINED:
    'correct the operator or the event it names; then engine.retry the stream, or skip the event, or drop',
  ERR_TIDEMARK_NEEDS_REPLAY:
    'open again, retry the stream, then read its sources from their positions; or raise quarantineBytes',
  ERR_TIDEMARK_DEAD_LETTER: 'make onDeadLetter take what it is given, then open again; the event comes again',
  ERR_TIDEMARK_FENCED: 'another engine has taken over this store; stop this one',
  ERR_TIDEMARK_DIRECTORY_LOCKED: 'stop the other process that uses the directory, or use another directory',
  ERR_TIDEMARK_NOT_A_STORE: 'name a directory that tidemark made, or an empty one to begin with',
  ERR_TIDEMARK_NOT_FOUND: "check the name; 'tidemark ls DIR' lists the streams of a directory",
  ERR_TIDEMARK_INVALID_JOB: "make the job module 'export default defineJob({ source, operators })'",
  ERR_TIDEMARK_SOURCE: 'see the cause; what the source gave before is kept, run again to read on',
  ERR_TIDEMARK_SOURCE_EXPIRED: "get what is gone from elsewhere, or let onExpired be 'earliest' or 'latest'",
  ERR_TIDEMARK_UNSUPPORTED: 'leave it out; README says what is supported',
};
