/** What is kept by columns is kept in chunks of so many rows. */

/** So few that a store with little in it is small, and so many that a chunk more is nothing. */
export const ROWS = 256;

export type Column<T> = (T | undefined)[];

export function column<T>(): Column<T> {
  return new Array<T | undefined>(ROWS);
}

/** In columns of numbers, NaN stands for those that are absent. */
export function present(number: number | undefined): number | undefined {
  return number === undefined || Number.isNaN(number) ? undefined : number;
}
