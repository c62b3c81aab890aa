/** Every case, in the order in which it is told. */
import type { Case } from "../case.ts";
import { arrivals } from "./arrivals.ts";
import { bytes, choices, claims } from "./core.ts";
import { backlog, dispatch, events } from "./dispatch.ts";
import { durable, latency, recovery } from "./durable.ts";
import { coordination, origins, smallLoads } from "./origins.ts";
import { pressure } from "./pressure.ts";

export const CASES: readonly Case[] = [
  dispatch,
  backlog,
  claims,
  choices,
  bytes,
  durable,
  latency,
  arrivals,
  pressure,
  recovery,
  events,
  origins,
  coordination,
  smallLoads,
];

/** Places that are kept for what is not measured yet. */
export const LATER = ["Redis, drain and call to start, against BullMQ", "HTTP submit, against Fastify doing the same"];
