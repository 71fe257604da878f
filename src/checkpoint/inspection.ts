/** What `console.log` shows of the model: what it says, not how it is kept. */
import { type InspectOptions, inspect } from 'node:util';

/** `model` as `util.inspect` shows an object of the class `name`; `depth` and `options` are those that it passes on. */
export function inspectModel(name: string, model: object, depth: number, options: InspectOptions): string {
  return depth < 0 ? `[${name}]` : `${name} ${inspect(model, { ...options, depth })}`;
}
