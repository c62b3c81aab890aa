// `npm run names`: rewrites the list of published names after a change of the doors that was meant.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { publicNames } from "../test/public-names.ts";
import { readSources } from "../test/source-scan.ts";

const root = join(import.meta.dirname, "..");
const names = publicNames(readSources(root));
writeFileSync(join(root, "test/public-names.json"), `${JSON.stringify(names, null, 2)}\n`);
