#!/usr/bin/env node
/**
 * Entry of the `tidemark` command. It checks the version of Node.js before anything else is loaded: the rest
 * uses syntax and modules that older versions answer with a stack trace.
 */
import { isSupportedNode, SUPPORTED_NODE } from './node-version.ts';

if (isSupportedNode(process.version)) {
  const { main } = await import('./program.ts');
  await main(process.argv.slice(2));
} else {
  process.stderr.write(
    `tidemark: ERR_TIDEMARK_UNSUPPORTED: Node.js ${process.version} is not supported; install one of ${SUPPORTED_NODE}\n`,
  );
  process.exitCode = 2;
}
