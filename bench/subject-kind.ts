/** What a subject's name says about it, and what the ratios of a case are taken to. */
import type { Result } from './suite.ts';

export type SubjectKind = 'tidemark' | 'rival' | 'limit';

export function kindOf(subject: string): SubjectKind {
  if (subject === 'memcpy' || subject.startsWith('limit-')) return 'limit';
  return subject === 'tidemark' || subject.startsWith('tidemark-') ? 'tidemark' : 'rival';
}

export interface References {
  readonly rival: Result | undefined;
  readonly limit: Result | undefined;
}

/** The fastest rival and the limit among the results of one case. */
export function referencesOf(results: readonly Result[]): References {
  const fastest = (kind: SubjectKind): Result | undefined =>
    results.filter(({ subject }) => kindOf(subject) === kind).toSorted((a, b) => a.nsPerOp - b.nsPerOp)[0];
  return { rival: fastest('rival'), limit: fastest('limit') };
}

/** How many times as fast as `other` it is: above 1 is faster. Empty without another to compare with. */
export function ratioText(other: Result | undefined, result: Result): string {
  if (other === undefined || other === result) return '';
  return timesText(other.nsPerOp / result.nsPerOp);
}

export function timesText(times: number): string {
  return `${times.toFixed(2)}×`;
}

export function nsText(ns: number): string {
  return ns.toLocaleString('en-US', { maximumFractionDigits: ns < 1_000 ? 1 : 0 });
}
