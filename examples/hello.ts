/** Two agents, one task, one batch. Run it: `node --conditions=troupe-source examples/hello.ts` */
import { AgentError, createPool, functionAgent } from "troupe";

const pool = await createPool({
  agents: [
    functionAgent("ada", async ({ task }) => `ada read ${task.prompt}`),
    functionAgent("bob", async () => {
      throw new AgentError({ message: "bob is unwell today", blame: "agent" });
    }),
  ],
});

// Whoever gets it first: when bob fails, ada takes over.
console.log(await pool.execute("chapter one", { preferredAgent: "bob", timeoutMs: 30_000 }));
console.log(await pool.executeBatch(["chapter two", "chapter three"]));

const task = await pool.submit({ type: "research", prompt: "the sources", priority: "high" });
const settled = await task.settled();
console.log(
  settled.status,
  settled.attempts.map(({ agentName, outcome }) => `${agentName} ${outcome}`),
);

await pool.close();
