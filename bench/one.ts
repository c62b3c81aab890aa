/** One run of one subject, in this process: `one.ts <case> <number of the subject> <scale>` prints its figures as JSON. */
import { CASES } from "./cases/all.ts";

const [id, number, scale] = process.argv.slice(2);
const subject = CASES.find((known) => known.id === id)?.subjects[Number(number)];
if (subject === undefined) throw new Error(`no subject ${number} of the case ${id}`);
console.log(JSON.stringify(await subject.run(Number(scale))));
process.exit(0);
