/** How long a command is to run, as `--seconds` says; `otherwise` if it does not. */
export function secondsOf(value: string | undefined, otherwise: number): number {
  const seconds = Number(value ?? otherwise);
  if (!(seconds > 0)) throw new Error(`--seconds must be a positive number, got ${value}`);
  return seconds;
}
