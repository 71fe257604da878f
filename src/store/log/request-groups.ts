/** Which of the requests that wait at the store writer are done together. */
import type { CommitRequest, ForgetRequest, WriterRequest } from './writer-protocol.ts';

/** More frames than this are not merged into one commit, so that no caller waits for too many others. */
const MERGED_FRAMES_MAX = 8192;
/** Streams that are forgotten in one commit at most. */
const MERGED_FORGETS_MAX = 256;

/** The commits from `start` on that can go out as one. */
export function mergeable(requests: readonly WriterRequest[], start: number): CommitRequest[] {
  const group: CommitRequest[] = [];
  let frames = 0;
  for (let at = start; at < requests.length; at++) {
    const request = requests[at] as WriterRequest;
    if (request.type !== 'commit' || request.generation !== (group[0] ?? request).generation) break;
    frames += request.frameCount;
    if (group.length > 0 && frames > MERGED_FRAMES_MAX) break;
    group.push(request);
  }
  return group;
}

export function forgetsFrom(requests: readonly WriterRequest[], start: number): ForgetRequest[] {
  const group: ForgetRequest[] = [];
  for (let at = start; at < requests.length && group.length < MERGED_FORGETS_MAX; at++) {
    const request = requests[at] as WriterRequest;
    if (request.type !== 'forget') break;
    group.push(request);
  }
  return group;
}
