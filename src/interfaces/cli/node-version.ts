/** Which Node runs this. Imports nothing, because it is read by versions that are too old for the rest. */

/** The first with a `node:sqlite` that needs no flag. */
const OLDEST = { major: 22, minor: 13 };

/** One sentence for a Node that is too old; undefined for one that will do. */
export function complaintAboutNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) return undefined;
  return `troupe needs Node ${OLDEST.major}.${OLDEST.minor} or newer, this is ${version}.`;
}
