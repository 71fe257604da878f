/**
 * Which Node.js this package runs on. Old versions load this file too, to be told so: no imports, and no
 * syntax younger than they are.
 */

/** The `engines.node` of package.json. */
export const SUPPORTED_NODE = '^22.18 || ^24.11 || >=26';

/** @param version as `process.version` has it, such as `v24.11.0` */
export function isSupportedNode(version: string): boolean {
  const match = /^v(\d+)\.(\d+)\./.exec(version);
  if (match === null) return false;
  const major = Number(match[1]);
  const minor = Number(match[2]);
  return (major === 22 && minor >= 18) || (major === 24 && minor >= 11) || major >= 26;
}
