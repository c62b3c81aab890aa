import { expect, test } from "vitest";
import { classKey, mayServe, type Profile, profileKey } from "./service-class.ts";

function offers(capabilities: readonly string[], claimTypes?: readonly string[]): Profile {
  return { key: "", capabilities: new Set(capabilities), claimTypes: claimTypes && new Set(claimTypes) };
}

const may = (profile: Profile, type: string, requires: readonly string[] = []): boolean =>
  mayServe(profile, { type, requires });

test("an agent without capabilities takes every type", () => {
  expect(may(offers([]), "research")).toBe(true);
});

test("an agent takes the types it names and no others", () => {
  expect([may(offers(["research"]), "research"), may(offers(["research"]), "ingest")]).toEqual([true, false]);
});

test("S3-B03 an agent with `general` takes every type", () => {
  expect(may(offers(["general", "x"]), "research")).toBe(true);
});

test("an agent with `*` takes every type and has every capability", () => {
  expect([may(offers(["*"]), "research"), may(offers(["*"]), "research", ["gpu", "net"])]).toEqual([true, true]);
});

test("a task of type `general` goes to any agent", () => {
  expect(may(offers(["research"]), "general")).toBe(true);
});

test("a task with `requires` goes by them alone: its type decides nothing", () => {
  expect(may(offers(["gpu"]), "research", ["gpu"])).toBe(true);
  expect(may(offers(["research"]), "research", ["gpu"])).toBe(false);
});

test("every required capability must be there", () => {
  expect([may(offers(["gpu"]), "x", ["gpu", "net"]), may(offers(["net", "gpu"]), "x", ["gpu", "net"])]).toEqual([
    false,
    true,
  ]);
});

test("neither `general` nor the absence of capabilities stands for a required one", () => {
  expect([may(offers(["general"]), "x", ["gpu"]), may(offers([]), "general", ["gpu"])]).toEqual([false, false]);
});

test("S3-B36 a claim without types takes any, a claim with an empty list takes nothing", () => {
  expect([may(offers([], undefined), "x"), may(offers([], []), "x"), may(offers(["*"], []), "general")]).toEqual([
    true,
    false,
    false,
  ]);
});

test("a claim's types narrow what the capabilities allow, and never widen it", () => {
  expect(may(offers([], ["x"]), "x")).toBe(true);
  expect(may(offers([], ["x"]), "y")).toBe(false);
  expect(may(offers(["y"], ["x"]), "x")).toBe(false);
  expect(may(offers(["gpu"], ["x"]), "x", ["gpu"])).toBe(true);
  expect(may(offers(["gpu"], ["y"]), "x", ["gpu"])).toBe(false);
});

test("classes differ by type and by what they require", () => {
  const keys = [
    classKey("a", []),
    classKey("b", []),
    classKey("a", ["x"]),
    classKey("a", ["x", "y"]),
    classKey("a", ["y"]),
  ];
  expect(new Set(keys).size).toBe(5);
  expect(classKey("a", ["x"])).toBe(classKey("a", ["x"]));
});

test("profiles are the same in whatever order they name things, and differ by a claim's types", () => {
  expect(profileKey(["b", "a"], undefined)).toBe(profileKey(["a", "b"], undefined));
  expect(profileKey(["a"], ["y", "x"])).toBe(profileKey(["a"], ["x", "y"]));
  const keys = [
    profileKey([], undefined),
    profileKey([], []),
    profileKey(["a"], undefined),
    profileKey(["a"], []),
    profileKey([], ["a"]),
  ];
  expect(new Set(keys).size).toBe(5);
});

test("a capability whose name holds a line break is not taken for two", () => {
  expect(profileKey(["a\nb"], undefined)).not.toBe(profileKey(["a", "b"], undefined));
  expect(profileKey(["a\tb"], undefined)).not.toBe(profileKey(["a"], ["b"]));
});

test("making a profile's key leaves the lists as they were", () => {
  const capabilities = ["b", "a"];
  const types = ["y", "x"];
  profileKey(capabilities, types);
  expect([capabilities, types]).toEqual([
    ["b", "a"],
    ["y", "x"],
  ]);
});
