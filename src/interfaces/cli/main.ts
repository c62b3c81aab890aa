#!/usr/bin/env node
/** The `troupe` command. Loads the rest only on a Node that can run it. */
import { complaintAboutNode } from "./node-version.ts";

const complaint = complaintAboutNode(process.versions.node);
if (complaint === undefined) {
  const { main } = await import("./program.ts");
  await main(process.argv.slice(2));
} else {
  process.stderr.write(`${complaint}\n`);
  process.exitCode = 78;
}
