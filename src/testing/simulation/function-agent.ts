/** Functions that do what their script says. They live and die with the engine's process. */
import { AgentError } from "../../agents/agent-error.ts";
import type { AgentCall, AgentFunction } from "../../agents/function.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import type { Scene } from "./scene.ts";
import { drawScript, resultOf, type Script } from "./script.ts";

export function scriptedFunction(scene: Scene, clock: Clock): AgentFunction {
  return (call) => {
    scene.ledger.began(call.task, scene);
    const script = drawScript(scene.dice, call.task.prompt);
    if (scene.explodes(call.task.prompt)) return new Promise(() => {});
    // Some answer at once, without a promise.
    if (script.name === "succeeds" && script.afterMs === 0) return resultOf(call.task);
    if (script.name === "fails" && script.afterMs === 0) throw thrown(script);
    return play(script, call, clock);
  };
}

async function play(script: Script, call: AgentCall, clock: Clock): Promise<unknown> {
  const { signal, task } = call;
  call.progress({ at: 0 });
  const ignores = script.name === "ignores_stop";
  await sleep(clock, script.afterMs, ignores ? undefined : signal);
  if (signal.aborted && !ignores) throw new Error("it was stopped");
  call.progress({ at: 1 });
  switch (script.name) {
    case "succeeds":
    case "ignores_stop":
      return resultOf(task);
    case "returns_nonsense":
      return { task: 10n };
    case "throttles":
      throw new AgentError({ message: "slow down", blame: "throttle", retryAfterMs: script.retryAfterMs });
    case "hangs":
      throw new Error("it came to nothing");
    case "fails":
      throw thrown(script);
    case "dies":
      // A function has no process of its own to die with.
      throw new Error("it fell over");
  }
}

function thrown({ blame, retryable, gate }: Extract<Script, { name: "fails" }>): Error {
  if (blame === "unknown" && retryable === undefined) return new Error("it failed");
  return new AgentError({ message: "it failed", blame, retryable, details: gate === undefined ? undefined : { gate } });
}
