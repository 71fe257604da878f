/**
 * A process of the store suite, started by `bench/store.ts`: it opens stores, saves into one of them sample by sample,
 * or recovers one. It answers request by request until it is killed.
 */
import { findCase } from './cases.ts';
import { answerRequests } from './peer.ts';
import { measureRecovery } from './recovery.ts';
import { SaveRun, type SaveSample } from './save-run.ts';
import { loadSubject } from './subject.ts';

interface Place {
  readonly subject: string;
  readonly case: string;
  readonly isSmoke: boolean;
  readonly directory: string;
}

export type RunRequest =
  /** Opens the store that samples go to from now on, and saves every stream. */
  | ({ readonly kind: 'open' } & Place)
  | { readonly kind: 'sample' }
  /** Checks what the store holds, and closes it. */
  | { readonly kind: 'finish' }
  | ({ readonly kind: 'recover' } & Place);

let run: SaveRun | undefined;

async function serve(request: RunRequest): Promise<SaveSample | number | undefined> {
  switch (request.kind) {
    case 'open': {
      const plan = findCase(request.case, request.isSmoke);
      run = await SaveRun.begin(await loadSubject(request.subject), plan, request.directory);
      return undefined;
    }
    case 'sample':
      return opened().sample();
    case 'finish':
      await opened().finish();
      return undefined;
    case 'recover':
      return measureRecovery(
        await loadSubject(request.subject),
        findCase(request.case, request.isSmoke),
        request.directory,
      );
    default:
      return request satisfies never;
  }
}

function opened(): SaveRun {
  if (run === undefined) throw new Error('no store is open');
  return run;
}

answerRequests(serve);
