/** The less loaded of two random agents: good where loads are known late, as nobody can draw the whole crowd. */
import type { Balancer } from "./balancer.ts";
import { BY_LOAD } from "./least-loaded.ts";
import { cheaperOfTwo } from "./scan.ts";

export const powerOfTwo: Balancer = (candidates, choice, random) => cheaperOfTwo(candidates, BY_LOAD, choice, random);
