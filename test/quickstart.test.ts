import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  cutToFit,
  decode,
  describeKinds,
  findDocuments,
  jsonBytes,
  readDocument,
} from "../examples/quickstart/documents.ts";
import { indexPage } from "../examples/quickstart/index-page.ts";
import { planRun } from "../examples/quickstart/plan.ts";
import { percentile } from "../examples/quickstart/summary.ts";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const MODULES = join(ROOT, "node_modules");

describe("the reader", () => {
  let reader: ChildProcess;
  let url: string;

  beforeAll(async () => {
    const env = { ...process.env, PORT: "0" };
    reader = spawn(process.execPath, ["examples/quickstart/reader.mjs"], {
      cwd: ROOT,
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(createInterface({ input: reader.stdout! }), "line")) as [string];
    url = `http://127.0.0.1:${(JSON.parse(line) as { port: number }).port}`;
  });

  afterAll(async () => {
    reader.kill("SIGTERM");
    if (reader.exitCode === null) await once(reader, "exit");
  });

  interface Answer {
    readonly status: number;
    readonly body: Record<string, unknown>;
  }

  async function send(body: string | Uint8Array<ArrayBuffer>, path = "/"): Promise<Answer> {
    const response = await fetch(url + path, { method: "POST", body });
    return { status: response.status, body: (await response.json()) as Answer["body"] };
  }

  const ask = (task: Record<string, unknown>): Promise<Answer> =>
    send(JSON.stringify({ taskId: "t", attempt: 1, ...task }));
  const summarise = async (prompt: string) =>
    (await ask({ type: "summarise", prompt })).body as unknown as SummaryResult;
  const keywords = async (prompt: string) =>
    ((await ask({ type: "keywords", prompt })).body.keywords as { term: string }[]).map(({ term }) => term);

  interface SummaryResult {
    title: string | null;
    script: string;
    licence: string | null;
    sentences: number;
    summary: string[];
  }

  test("says that it is well", async () => {
    const response = await fetch(`${url}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "ok" });
  });

  test("chooses at most three sentences of a document, in its order", async () => {
    const { summary, sentences } = await summarise(
      "# Otters\n\nOtters live in rivers. Otters eat fish from rivers. The weather is fine today.\nRivers feed the otters. Fish live in rivers too.\n",
    );
    expect(sentences).toBe(5);
    expect(summary).toEqual(["Otters live in rivers.", "Otters eat fish from rivers.", "Rivers feed the otters."]);
  });

  test("reads Markdown without its marks, code, links' targets and tables", async () => {
    const { title, summary } = await summarise(
      [
        "[![badge](https://img.example/b.svg)](https://ci.example)",
        "# The **otter** guide",
        "```js\nconst hidden = 1;\n```",
        "| a | b |\n|---|---|\n| x | y |",
        "> An _otter_ is [described here](https://example.org/a_b) as `playful`, see https://example.org.",
      ].join("\n\n"),
    );
    expect(title).toBe("The otter guide");
    expect(summary).toEqual(["An otter is described here as playful, see"]);
  });

  test("reads HTML without its tags, scripts and comments", async () => {
    const { title, summary } = await summarise(
      "<html><head><style>p { color: red }</style><script>alert(1)</script></head><body><!-- no --><h1 class=x>Otters</h1><p>They swim &amp; dive&#46;</p></body></html>",
    );
    expect(title).toBe("Otters");
    expect(summary).toEqual(["They swim & dive."]);
  });

  test("finds sentences and words in scripts without spaces", async () => {
    const japanese = "東京は日本の首都です。東京には多くの美術館があります。天気がよい。\n";
    const result = await summarise(japanese);
    expect(result.script).toBe("kana");
    expect(result.sentences).toBe(3);
    expect(result.summary).toContain("東京には多くの美術館があります。");
    expect(await keywords(japanese)).toContain("東京");
  });

  test("joins the lines of Chinese paragraphs without a space", async () => {
    expect((await summarise("水獭生活在\n河流中。")).summary).toEqual(["水獭生活在河流中。"]);
  });

  test("has nothing to say of an empty document and of one without letters", async () => {
    const nothing = { title: null, script: "none", licence: null, sentences: 0, summary: [] };
    for (const prompt of ["", "\uFEFF", "\0\0", " \r\n\t", "---\n***\n!!!\n"]) {
      expect(await summarise(prompt)).toEqual(nothing);
      expect(await keywords(prompt)).toEqual([]);
    }
  });

  test("answers a body whose bytes are not UTF-8", async () => {
    const head = Buffer.from('{"type":"summarise","prompt":"Otters swim in the ');
    const tail = Buffer.from(' river."}');
    const { status, body } = await send(Uint8Array.from([...head, 0xff, 0xc3, 0x28, ...tail]));
    expect(status).toBe(200);
    expect(body.summary).toEqual(["Otters swim in the \uFFFD\uFFFD( river."]);
  });

  test("keeps half of a surrogate pair out of what it shows of a long sentence", async () => {
    const { summary } = await summarise(`${"ab ".repeat(106)}a${"😀".repeat(50)}`);
    expect(summary[0]!.length).toBeLessThanOrEqual(321);
    expect(summary[0]!.isWellFormed()).toBe(true);
  });

  test.each([
    ["MIT", "Permission is hereby granted, free of charge, to any\nperson obtaining a copy"],
    ["ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose"],
    ["Apache-2.0", "Apache License\n   Version 2.0, January 2004"],
    ["BSD-3-Clause", "Redistribution and use in source and binary forms are permitted. Neither the name of the holder"],
    ["BSD-2-Clause", "Redistribution and use in source and binary forms are permitted."],
    [null, "All rights reserved."],
  ])("recognises the licence %s", async (licence, text) => {
    expect((await summarise(text)).licence).toBe(licence);
  });

  test("reads hostile text in a time that does not grow with its square", async () => {
    for (const part of ["<!--", "[![", "`", "<a ", "**_", "&#", "((((", "| ", "a-"]) {
      const { status } = await ask({ type: "summarise", prompt: part.repeat(800_000 / part.length) });
      expect(status).toBe(200);
    }
  });

  test("refuses with 422 what no reader could answer, and says what it expected", async () => {
    const noText = await ask({ type: "summarise", input: { text: 42 } });
    expect(noText).toEqual({ status: 422, body: { error: "prompt: expected the text of a document, got none" } });
    expect((await ask({ type: "summarise", prompt: 42 })).status).toBe(422);
    for (const type of ["dance", "constructor", "toString", undefined]) {
      expect((await ask({ type, prompt: "x" })).status).toBe(422);
    }
    expect((await ask({ type: "digest", input: {} })).status).toBe(422);
    expect((await ask({ type: "digest", input: { documents: 1 }, context: { dependencies: {} } })).status).toBe(422);
    const lacking = { digests: ["gone"] };
    expect((await ask({ type: "index", input: lacking, context: { dependencies: {} } })).body.error).toContain("gone");
  });

  test("refuses what is not JSON, not an object, not POST and not there", async () => {
    expect((await send("{")).status).toBe(400);
    expect((await send("null")).status).toBe(400);
    expect((await send("[]")).status).toBe(400);
    expect((await fetch(url)).status).toBe(405);
    expect((await send("{}", "/elsewhere")).status).toBe(404);
  });

  test("joins three results per document to a digest, and digests to an index", async () => {
    const readme = "# Otter\n\nOtter is a small river library. Otter swims through river data.";
    const licence = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software.";
    const dependencies: Record<string, unknown> = {};
    for (const [id, prompt] of [
      ["r", readme],
      ["l", licence],
    ] as const) {
      dependencies[`${id}-s`] = (await ask({ type: "summarise", prompt })).body;
      dependencies[`${id}-k`] = (await ask({ type: "keywords", prompt })).body;
    }
    dependencies["r-m"] = "      3      12      70\n";
    dependencies["l-m"] = "  1 20 100";
    const documents = [
      { path: "otter/LICENSE", summary: "l-s", keywords: "l-k", measure: "l-m" },
      { path: "otter/README.md", summary: "r-s", keywords: "r-k", measure: "r-m" },
    ];
    const input = { package: "otter", documents };
    const digest = await ask({ type: "digest", input, context: { dependencies } });
    expect(digest.body).toMatchObject({
      package: "otter",
      lines: 4,
      words: 32,
      bytes: 170,
      licences: ["MIT"],
      about: "Otter is a small river library.",
    });
    expect(digest.body.keywords).toContain("otter");
    expect(digest.body.keywords).not.toContain("permission");

    const other = { ...digest.body, package: "badger" };
    const context = { dependencies: { one: digest.body, two: other } };
    const index = await ask({ type: "index", input: { digests: ["one", "two"] }, context });
    expect(index.body).toMatchObject({ documents: 4, lines: 8, licences: [{ licence: "MIT", packages: 2 }] });
    expect((index.body.packages as { package: string }[]).map((entry) => entry.package)).toEqual(["badger", "otter"]);
    const page = indexPage(index.body as never, "run-index");
    expect(page).toContain("### otter\n\nOtter is a small river library.");
    expect(page).toContain("- MIT: 2 packages");
  });

  test("reads every document that the installed packages bring along", async () => {
    for (const found of findDocuments(MODULES, { least: 200 })) {
      const { text } = readDocument(MODULES, found);
      const { status, body } = await ask({ type: "summarise", prompt: text });
      expect({ path: found.path, status }).toEqual({ path: found.path, status: 200 });
      const { summary } = body as unknown as SummaryResult;
      expect(summary.length).toBeLessThanOrEqual(3);
      if (found.bytes > 2_000)
        expect({ path: found.path, said: summary.length > 0 }).toEqual({ path: found.path, said: true });
    }
  });
});

describe("the documents", () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "troupe-documents-"));
    const write = (path: string, content: string | Uint8Array): void => {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content);
    };
    write("b/README.md", "b");
    write("b/LICENSE", "");
    write("b/src/history.js", "code");
    write("b/src/notes/guide.md", "guide");
    write("b/package.json", "{}");
    write("b/dist/package.json", "{}");
    write("@s/a/License-MIT.txt", Buffer.from([0xff, 0xfe, 0x41, 0x00]));
    write("b/node_modules/@t/c/CHANGELOG", Buffer.from([0x63, 0x61, 0x66, 0xe9]));
    write(".hidden/README.md", "no");
    write("LICENSE", "belongs to no package");
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("are the named ones first, then other documentation, then manifests", () => {
    const paths = (count: number): string[] => findDocuments(directory, { count, least: 0 }).map(({ path }) => path);
    const named = ["@s/a/License-MIT.txt", "b/LICENSE", "b/README.md", "b/node_modules/@t/c/CHANGELOG"];
    expect(paths(0)).toEqual([]);
    expect(paths(1)).toEqual(named.slice(0, 1));
    expect(paths(4)).toEqual(named);
    expect(paths(5)).toEqual([...named, "b/src/notes/guide.md"]);
    expect(paths(6)).toEqual([
      "@s/a/License-MIT.txt",
      "b/LICENSE",
      "b/README.md",
      "b/node_modules/@t/c/CHANGELOG",
      "b/package.json",
      "b/src/notes/guide.md",
    ]);
    expect(paths(99)).toHaveLength(6);
  });

  test("are all readable ones, and manifests only while they are too few", () => {
    expect(findDocuments(directory, { least: 0 })).toHaveLength(5);
    expect(findDocuments(directory, { least: 5 })).toHaveLength(5);
    const six = findDocuments(directory, { least: 6 });
    expect(six).toHaveLength(6);
    expect(describeKinds(six)).toBe(
      "4 README, CHANGELOG and LICENSE files, 1 other documentation, 1 package manifests",
    );
  });

  test("belong to the innermost package", () => {
    const packages = findDocuments(directory, { least: 0 }).map((found) => found.package);
    expect(new Set(packages)).toEqual(new Set(["@s/a", "b", "b/node_modules/@t/c"]));
  });

  test("are at least two hundred among the installed packages", () => {
    expect(findDocuments(MODULES, { least: 200 }).length).toBeGreaterThanOrEqual(200);
  });

  test.each([
    ["UTF-8", [0x63, 0xc3, 0xa9], "cé", "utf-8"],
    ["UTF-8 with a mark", [0xef, 0xbb, 0xbf, 0x41], "A", "utf-8"],
    ["UTF-16 of little ends", [0xff, 0xfe, 0x41, 0x00], "A", "utf-16le"],
    ["UTF-16 of big ends", [0xfe, 0xff, 0x00, 0x41], "A", "utf-16be"],
    ["half of UTF-16 behind its mark", [0xff, 0xfe, 0x41], "ÿþA", "windows-1252"],
    ["what is none of them", [0x63, 0xe9, 0x80], "cé€", "windows-1252"],
    ["nothing", [], "", "utf-8"],
  ])("are decoded from %s", (_, bytes, text, encoding) => {
    expect(decode(Uint8Array.from(bytes))).toEqual({ text, encoding });
  });

  test("are cut to the longest head that fits into a task", () => {
    expect(cutToFit("abcd", 6)).toBe("abcd");
    expect(cutToFit("abcd", 5)).toBe("abc");
    expect(cutToFit('""""', 6)).toBe('""');
    expect(cutToFit("ééé", 7)).toBe("éé");
    expect(cutToFit("a😀b", 8)).toBe("a😀b");
    expect(cutToFit("a😀b", 7)).toBe("a😀");
    expect(cutToFit("a😀b", 6)).toBe("a");
    expect(cutToFit("a", 2)).toBe("");
    const head = cutToFit("é\n".repeat(500_000), 900_000);
    expect(jsonBytes(head)).toBeLessThanOrEqual(900_000);
    expect(jsonBytes(head)).toBeGreaterThan(899_990);
  });
});

describe("the plan", () => {
  const document = (path: string, owner: string) =>
    ({ path, package: owner, bytes: 1, kind: 0, text: "t", encoding: "utf-8", cut: false }) as const;

  test("is three tasks per document, a digest per package and one index, dependencies before dependents", () => {
    const plan = planRun("run", [document("a/README", "a"), document("a/LICENSE", "a"), document("b/README", "b")]);
    expect(plan.tasks).toHaveLength(3 * 3 + 2 + 1);
    expect(plan.packages).toBe(2);
    const known = new Set<string>();
    for (const { task } of plan.tasks) {
      for (const id of task.dependencies ?? []) expect(known).toContain(id);
      known.add(task.id);
      expect(task.idempotencyKey).toBe(task.id);
    }
    expect(known.size).toBe(plan.tasks.length);
    const digests = plan.tasks.filter(({ stage }) => stage === "digest");
    expect(digests.map(({ task }) => task.dependencies?.length)).toEqual([6, 3]);
    expect(plan.tasks.at(-1)?.task.dependencies).toEqual(digests.map(({ task }) => task.id));
    expect(plan.tasks.at(-1)?.task.id).toBe(plan.indexId);
  });

  test("has the same ids for the same run, and others for another", () => {
    const ids = (run: string): string[] => planRun(run, [document("a/R", "a")]).tasks.map(({ task }) => task.id);
    expect(ids("one")).toEqual(ids("one"));
    expect(new Set([...ids("one"), ...ids("two")]).size).toBe(10);
  });
});

test("a percentile is the nearest rank", () => {
  expect(percentile([], 0.5)).toBe(0);
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([3, 1, 2, 4], 0.5)).toBe(2);
  expect(percentile([1, 2, 3], 0)).toBe(1);
  expect(percentile([1, 2, 3], 1)).toBe(3);
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([percentile(hundred, 0.5), percentile(hundred, 0.99)]).toEqual([50, 99]);
});

describe("npm start", () => {
  const DOCUMENTS = 20;
  let data: string;
  const started: ChildProcess[] = [];

  beforeAll(() => {
    data = mkdtempSync(join(tmpdir(), "troupe-quickstart-"));
  });

  afterAll(async () => {
    for (const child of started) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(data, { recursive: true, force: true });
  });

  /** Output until it ends; `until` resolves with all output so far when a text has appeared. */
  function start(program: string, args: readonly string[]) {
    const child = spawn(process.execPath, ["--conditions=troupe-source", program, ...args], { cwd: ROOT });
    started.push(child);
    const output = { text: "", stdout: "" };
    const watchers = new Set<() => void>();
    const take = (chunk: string): void => {
      output.text += chunk;
      for (const watcher of watchers) watcher();
    };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output.stdout += chunk;
      take(chunk);
    });
    child.stderr.setEncoding("utf8").on("data", take);
    const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...output }));
    const until = (text: string): Promise<string> => {
      const seen = Promise.withResolvers<string>();
      const look = (): void => {
        if (output.text.includes(text)) seen.resolve(output.text);
      };
      watchers.add(look);
      look();
      void ended.then(() => seen.reject(new Error(`ended without saying "${text}":\n${output.text}`)));
      return seen.promise;
    };
    return { child, ended, until };
  }

  const quickstart = (...args: string[]) => start("examples/quickstart/main.ts", ["--data", data, ...args]);
  const troupe = async (url: string, ...args: string[]) =>
    JSON.parse(
      (await start("src/interfaces/cli/main.ts", [...args, "--url", url, "--data", data, "--json"]).ended).stdout,
    );
  const urlIn = (text: string): string => /http:\/\/127\.0\.0\.1:\d+/.exec(text)![0];
  const serverPidIn = (text: string): number => Number(/\(pid (\d+), data/.exec(text)![1]);

  function isGone(pid: number): boolean {
    try {
      process.kill(pid, 0);
      return readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z");
    } catch {
      return true;
    }
  }

  test("works through real documents, survives the death of a daemon, sums up and leaves nothing running (S2-17, S2-30)", async () => {
    const { code, text } = await quickstart("--exit", "--port", "0", "--documents", String(DOCUMENTS)).ended;
    expect({ code, text }).toEqual({ code: 0, text });
    expect(text).toContain(`reads   ${DOCUMENTS} documents`);
    expect(text).toMatch(/killed \S+ with SIGKILL after \d+ of \d+ tasks/);
    expect(text).toMatch(
      /is back: crashed \(\d+ ms\) → restarting \(\d+ ms\) → healthy \(\d+ ms\), pid \d+, same port \d+/,
    );
    for (const stage of ["summarise", "keywords", "measure"]) {
      expect(text).toMatch(new RegExp(`^ +${stage} +${DOCUMENTS} +0 +0 `, "m"));
    }
    expect(text).toMatch(/^ +index +1 +0 +0 /m);
    expect(text).toMatch(/1 dead letter on purpose: run-\S+-refused, http_422/);
    expect(text).toMatch(/attempt 1 on \S+: failed \(blame task\): .*expected the text of a document/);
    expect(text).toContain("stopped: all");
    expect(isGone(serverPidIn(text))).toBe(true);
    const page = readFileSync(join(data, "quickstart", "index.md"), "utf8");
    expect(page).toContain("# What the installed packages say about themselves");
    expect(page).toContain(`${DOCUMENTS} documents of`);
  }, 90_000);

  test("starts again on the same data, where every earlier task can still be read, then stays up until it is told to stop", async () => {
    const { child, ended, until } = quickstart("--port", "0", "--documents", "4");
    const text = await until("Ctrl-C stops it");
    const url = urlIn(text);
    const { items } = await troupe(url, "tasks", "--all");
    const runs = Map.groupBy(items as { id: string; status: string }[], ({ id }) =>
      id.split("-").slice(0, 3).join("-"),
    );
    expect(runs.size).toBe(2);
    const [first] = runs.values();
    expect(first!.length).toBeGreaterThanOrEqual(DOCUMENTS * 3 + 3);
    for (const { id, status } of items as { id: string; status: string }[]) {
      expect({ id, status }).toEqual({ id, status: id.endsWith("-refused") ? "failed" : "completed" });
    }

    const index = first!.find(({ id }) => id.endsWith("-index"))!;
    expect((await troupe(url, "task", index.id)).result).toMatchObject({ documents: DOCUMENTS });
    const refused = first!.find(({ id }) => id.endsWith("-refused"))!;
    const before = await troupe(url, "task", refused.id);
    expect(before).toMatchObject({ deadLettered: true, replays: 0, attempts: [{ number: 1, blame: "task" }] });
    await troupe(url, "replay", refused.id);
    const after = await troupe(url, "task", refused.id, "--wait");
    expect(after).toMatchObject({ status: "failed", deadLettered: true, replays: 1, attemptCount: 1 });
    expect(after.attempts.map(({ number }: { number: number }) => number)).toEqual([1, 2]);

    child.kill("SIGINT");
    expect((await ended).code).toBe(0);
    expect(isGone(serverPidIn(text))).toBe(true);
  }, 90_000);

  test("stops in the middle of the work when it is told to, and the next start finishes what was left", async () => {
    const { child, ended, until } = quickstart("--exit", "--port", "0", "--documents", "60");
    await until("work    ");
    child.kill("SIGTERM");
    const { code, text } = await ended;
    expect({ code, text }).toEqual({ code: 130, text });
    expect(text).toContain("what is left goes on at the next start");
    expect(isGone(serverPidIn(text))).toBe(true);

    const next = quickstart("--port", "0", "--documents", "1");
    const url = urlIn(await next.until("Ctrl-C stops it"));
    const { items } = await troupe(url, "tasks", "--all");
    for (const { id } of items as { id: string }[]) {
      const headers = { authorization: `Bearer ${readFileSync(join(data, "key"), "utf8").trim()}` };
      const task = await (await fetch(`${url}/v1/tasks/${id}?waitMs=30000`, { headers })).json();
      expect(task).toMatchObject({ id, status: id.endsWith("-refused") ? "failed" : "completed" });
    }
    next.child.kill("SIGTERM");
    expect((await next.ended).code).toBe(0);
  }, 90_000);

  test("takes another port when the one it wants is taken, and says so", async () => {
    const neighbour = createServer().listen(0, "127.0.0.1");
    await once(neighbour, "listening");
    const { port } = neighbour.address() as { port: number };
    try {
      const { code, text } = await quickstart("--exit", "--port", String(port), "--documents", "1").ended;
      expect(text).toContain(`port ${port} is taken`);
      expect(urlIn(text)).not.toContain(`:${port}`);
      expect(code).toBe(0);
    } finally {
      neighbour.close();
    }
  }, 60_000);

  test("says so when the server ends by itself, shows its log and fails", async () => {
    const { ended, until } = quickstart("--port", "0", "--documents", "1");
    process.kill(serverPidIn(await until("Ctrl-C stops it")), "SIGKILL");
    const { code, text } = await ended;
    expect(code).toBe(1);
    expect(text).toContain("trouble: the server was ended by SIGKILL");
    expect(text).toContain("server.log:");
  }, 60_000);

  test("fails with the server's reason when the server can't start", async () => {
    const nowhere = join(data, "nowhere");
    mkdirSync(nowhere);
    writeFileSync(join(nowhere, "key"), "short");
    const { code, text } = await start("examples/quickstart/main.ts", ["--exit", "--port", "0", "--data", nowhere])
      .ended;
    expect(code).toBe(1);
    expect(text).toMatch(/trouble: the server ended with exit code \d+/);
    expect(text).toContain("does not hold a key");
  }, 60_000);

  test.each([
    [["--port", "65536"], "--port: expected a whole number from 0 to 65535, got 65536"],
    [["--port", "-1"], "--port"],
    [["--documents", "0"], "--documents: expected a whole number from 1 to 5000, got 0"],
    [["--documents", "many"], "--documents"],
    [["--leave"], "--leave"],
    [["extra"], "extra"],
  ])("refuses the arguments %j and says what it takes", async (args, message) => {
    const nowhere = join(data, "never-made");
    const { code, text } = await start("examples/quickstart/main.ts", ["--data", nowhere, ...args]).ended;
    expect(code).toBe(2);
    expect(text).toContain(message);
    expect(text).toContain("usage: npm start");
    expect(existsSync(nowhere)).toBe(false);
  });
});
