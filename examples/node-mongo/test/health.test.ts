import assert from "node:assert/strict";
import { test } from "node:test";
import { buildApp } from "../src/app.ts";
import { Database } from "../src/mongo.ts";

// Nothing listens on this port.
const UNREACHABLE = "mongodb://127.0.0.1:1/app";

test("the process is healthy but not ready without its database", async (t) => {
  const app = buildApp({ logLevel: "error" }, new Database(UNREACHABLE));
  t.after(() => app.close());

  const health = await app.inject("/healthz");
  assert.equal(health.statusCode, 200);
  assert.deepEqual(health.json(), { status: "ok" });

  const readiness = await app.inject("/readyz");
  assert.equal(readiness.statusCode, 503);
  assert.deepEqual(readiness.json(), { status: "unavailable" });

  assert.deepEqual((await app.inject("/")).json(), { name: "node-mongo" });
});
