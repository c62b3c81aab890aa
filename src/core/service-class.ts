/** Who may do what: tasks of one class need the same of an agent, agents of one profile can do the same. */

/** What a task asks of its agent. */
export interface ServiceClass {
  readonly key: string;
  readonly type: string;
  readonly requires: readonly string[];
}

/** What an agent offers. */
export interface Profile {
  readonly key: string;
  /** Given at creation: they decide by type. */
  readonly capabilities: ReadonlySet<string>;
  /** Found out since: they count for what a task requires only. */
  readonly verified?: ReadonlySet<string> | undefined;
  /** A remote agent's latest claim asks for these types only; undefined = any. */
  readonly claimTypes: ReadonlySet<string> | undefined;
}

export function classKey(type: string, requires: readonly string[]): string {
  return requires.length === 0 ? type : `${type}\n${requires.join("\n")}`;
}

/** Names may hold any character, so that no separator would do. */
export function profileKey(
  capabilities: readonly string[],
  claimTypes: readonly string[] | undefined,
  verified: readonly string[] = [],
): string {
  const sorted = (names: readonly string[]): string[] => [...names].sort();
  return JSON.stringify([sorted(capabilities), claimTypes === undefined ? null : sorted(claimTypes), sorted(verified)]);
}

/** It has every capability that is named, given or verified; `"*"` has all. */
function offersAll({ capabilities, verified }: Profile, requires: readonly string[]): boolean {
  if (capabilities.has("*") || verified?.has("*") === true) return true;
  return requires.every((capability) => capabilities.has(capability) || verified?.has(capability) === true);
}

/**
 * The one matching rule. A task with `requires` goes by them alone; otherwise its type decides: an agent without
 * capabilities, with `general` or with `"*"` takes every type, and type `general` goes to any agent.
 */
export function mayServe(profile: Profile, { type, requires }: Pick<ServiceClass, "type" | "requires">): boolean {
  if (profile.claimTypes !== undefined && !profile.claimTypes.has(type)) return false;
  const { capabilities } = profile;
  if (requires.length > 0) return offersAll(profile, requires);
  if (capabilities.has("*")) return true;
  return type === "general" || capabilities.size === 0 || capabilities.has("general") || capabilities.has(type);
}
