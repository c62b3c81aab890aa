// `npm test`: build, checks, all tests. The last line is always `N passed, N failed`; each check counts as one.
// Arguments go to vitest as a filter, and then only vitest runs: `npm test -- lease`.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHECKS, run } from "./checks.mjs";

const filter = process.argv.slice(2);
const total = { passed: 0, failed: 0 };

try {
  if (filter.length === 0) {
    count(run("build", "node", ["scripts/build.mjs"]));
    for (const { name, command, args } of CHECKS) count(run(name, command, args));
  }
  runTests();
} catch (error) {
  console.error(error);
  total.failed += 1;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;

function count(passed) {
  if (passed) total.passed += 1;
  else total.failed += 1;
}

function runTests() {
  const directory = mkdtempSync(join(tmpdir(), "troupe-test-"));
  const report = join(directory, "report.json");
  try {
    const output = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const passed = run("tests", "vitest", ["run", ...output, ...filter]);
    const failedBefore = total.failed;
    countTests(JSON.parse(readFileSync(report, "utf8")));
    // Vitest also fails for what belongs to no test, such as an unhandled rejection or a filter that matches nothing.
    if (!passed && total.failed === failedBefore) total.failed += 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function countTests(report) {
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  for (const file of report.testResults) {
    const didNotLoad = file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed");
    if (didNotLoad) total.failed += 1;
  }
}
