/** Powers of one half from a table: the same bits on every machine, which `Math.pow` does not promise. */

/** Steps in which one half-life is taken. */
const STEPS = 64;
/** After so many half-lives nothing is left. */
const LONGEST = 64;

/** 0.5 to the power of n / STEPS. */
const POWERS = tabulate();

/**
 * 0.5 to the power of `halfLives`, in steps of a 64th of a half-life.
 *
 * @param halfLives - 0 or more; from 64 on the answer is 0
 */
export function powerOfHalf(halfLives: number): number {
  return halfLives < LONGEST ? (POWERS[Math.trunc(halfLives * STEPS)] as number) : 0;
}

function tabulate(): Float64Array {
  const powers = new Float64Array(LONGEST * STEPS);
  // The root of degree 64 is six square roots.
  let root = 0.5;
  for (let degree = 1; degree < STEPS; degree *= 2) root = Math.sqrt(root);
  powers[0] = 1;
  for (let n = 1; n < STEPS; n++) powers[n] = (powers[n - 1] as number) * root;
  for (let n = STEPS; n < powers.length; n++) powers[n] = (powers[n - STEPS] as number) / 2;
  return powers;
}
