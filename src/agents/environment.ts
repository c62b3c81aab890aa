/** The environment of child processes: what they need to work, and nothing that is a secret of ours. */

/** What every child gets of our own environment. */
export const INHERITED = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"] as const;

/** The allowed part of ours, with what was declared over it. */
export function childEnvironment(declared: Readonly<Record<string, string>>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return { ...env, ...declared };
}
