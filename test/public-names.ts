/** What the published doors give out, to be compared with public-names.json. */

import { exportedNames, type Sources } from "./source-scan.ts";

const DOORS = { troupe: "src/index.ts", "troupe/testing": "src/testing/index.ts" };

/** A door that is not there gives out nothing. */
export function publicNames(sources: Sources): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(DOORS).map(([door, path]) => [door, exportedNames(sources.get(path) ?? "")]),
  );
}
