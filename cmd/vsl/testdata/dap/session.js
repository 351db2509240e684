// A session of VS Code's own test client with vsl dap.
//   node session.js VSL FOLDER: the folder has counts.lua and fails.lua
const assert = require("assert");
const path = require("path");
const { DebugClient } = require("@vscode/debugadapter-testsupport");

const [vsl, folder] = process.argv.slice(2);
const file = (name) => path.join(folder, name);

async function session(what) {
  const client = new DebugClient(vsl, "dap", "vsl", { cwd: folder, env: { ...process.env, VSL_ROOT: file("r") } }, true);
  client.defaultTimeout = 60000;
  await client.start();
  try {
    await what(client);
  } finally {
    await client.stop();
  }
}

async function locals(client, thread) {
  const frame = (await client.stackTraceRequest({ threadId: thread })).body.stackFrames[0];
  const scopes = (await client.scopesRequest({ frameId: frame.id })).body.scopes;
  const scope = scopes.find((s) => s.name === "Locals");
  const list = (await client.variablesRequest({ variablesReference: scope.variablesReference })).body.variables;
  return { scope: scope.variablesReference, frame, of: Object.fromEntries(list.map((v) => [v.name, v.value])) };
}

async function breakpoint(client) {
  const at = { path: file("counts.lua"), line: 8 };
  await client.hitBreakpoint({ program: file("counts.lua"), params: { size: 3 } }, { ...at, verified: false }, at);
  const thread = (await client.threadsRequest()).body.threads[0];
  assert.equal(thread.name, "counts: run");
  const here = await locals(client, thread.id);
  assert.equal(here.of.total, "6");
  const set = await client.setVariableRequest({ variablesReference: here.scope, name: "total", value: "42" });
  assert.equal(set.body.value, "42");
  await Promise.all([client.assertStoppedLocation("step", { path: at.path, line: 9 }), client.nextRequest({ threadId: thread.id })]);
  const printed = client.assertOutput("stdout", "+  counts  created, up");
  const ended = client.waitForEvent("terminated");
  await client.continueRequest({ threadId: thread.id });
  await Promise.all([printed, ended]);
}

async function postMortem(client) {
  const stopped = client.assertStoppedLocation("exception", { path: file("fails.lua"), line: 4 });
  await Promise.all([
    client.waitForEvent("initialized")
      .then(() => client.setExceptionBreakpointsRequest({ filters: ["uncaught"] }))
      .then(() => client.configurationDoneRequest()),
    client.launch({ program: "fails.lua", cwd: folder }),
    stopped,
  ]);
  const thread = (await client.threadsRequest()).body.threads[0].id;
  const here = await locals(client, thread);
  assert.equal(here.of.why, '"it was so"');
  const seen = await client.evaluateRequest({ expression: "g.state", frameId: here.frame.id, context: "repl" });
  assert.equal(seen.body.result, '"running"');
  const exited = client.waitForEvent("exited");
  await client.continueRequest({ threadId: thread });
  assert.equal((await exited).body.exitCode, 1);
}

session(breakpoint).then(() => session(postMortem)).then(
  () => console.log("as it should be"),
  (err) => { console.error(err); process.exitCode = 1; });
