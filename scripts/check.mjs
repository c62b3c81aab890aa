// `npm run check`: all checks and the layers, without the other tests. Runs all of them even when one fails.

import { CHECKS, run } from "./checks.mjs";

const results = CHECKS.map(({ name, command, args }) => run(name, command, args));
results.push(run("layers", "vitest", ["run", "test/layers.test.ts"]));
process.exit(results.every((passed) => passed) ? 0 : 1);
