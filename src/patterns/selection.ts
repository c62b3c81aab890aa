/** Who may be given a call now: everything that is asked at the moment of the choice, and of all agents alike. */
import type { Health } from "../core/agent.ts";
import type { Member } from "./member.ts";

export interface Standing<T> {
  readonly member: Member<T>;
  /** Its own verdict, softened where too many of the pool would be unhealthy. */
  readonly health: Health;
  /** Rest, breaker and health allow it. A slot is not asked for. */
  readonly isFit: boolean;
}

/** Share of a pool that may be unhealthy by ratio: where more fail, it is hardly the agents'. */
export const UNHEALTHY_SHARE = 0.5;

export function standings<T>(members: readonly Member<T>[]): readonly Standing<T>[] {
  const healths = healthsOf(members);
  return members.map((member, index) => {
    const health = healths[index] ?? "healthy";
    const isWell = health !== "unhealthy" || member.isTrialDue;
    return { member, health, isFit: isWell && member.isAdmitted && !member.isResting };
  });
}

/** Each agent's health as the pool sees it: of those unhealthy by ratio only the worst, half of the pool at most. */
export function healthsOf<T>(members: readonly Member<T>[]): readonly Health[] {
  const verdicts = members.map((member) => member.verdict());
  const byRatio = verdicts.filter((verdict) => verdict.byRatio);
  const allowed = Math.floor(members.length * UNHEALTHY_SHARE);
  if (byRatio.length <= allowed) return verdicts.map(({ health }) => health);
  const worst = new Set(byRatio.toSorted((a, b) => b.errorShare - a.errorShare).slice(0, allowed));
  return verdicts.map((verdict) => (verdict.byRatio && !worst.has(verdict) ? "degraded" : verdict.health));
}

/** The share of fit agents is below `panicBelow`: a call goes to any that does not rest. 0 = never. */
export function isPanic<T>(all: readonly Standing<T>[], panicBelow: number): boolean {
  return all.filter(({ isFit }) => isFit).length / all.length < panicBelow;
}

export interface Eligible<T> {
  readonly members: readonly Member<T>[];
  /** None of these was tried in this call before. */
  readonly areUntried: boolean;
  /** Breakers and health are disregarded. */
  readonly isPanic: boolean;
}

/**
 * Those to choose from: free and fit, in a panic all that are free and do not rest; of these the untried where there
 * are any; of these the degraded only where nobody is better.
 */
export function eligible<T>(
  members: readonly Member<T>[],
  tried: ReadonlySet<Member<T>>,
  panicBelow: number,
): Eligible<T> {
  const all = standings(members);
  const panic = isPanic(all, panicBelow);
  const free = all.filter(({ member, isFit }) => (isFit || (panic && !member.isResting)) && member.hasSlot());
  const untried = free.filter(({ member }) => !tried.has(member));
  const left = untried.length > 0 ? untried : free;
  const better = panic ? left : left.filter(({ health }) => health !== "degraded");
  const chosen = better.length > 0 ? better : left;
  return { members: chosen.map(({ member }) => member), areUntried: untried.length > 0, isPanic: panic };
}
