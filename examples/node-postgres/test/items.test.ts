import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { FastifyInstance } from "fastify";
import { buildApp } from "../src/app.ts";
import { Database } from "../src/postgres.ts";
import { createTestDatabase, type TestDatabase } from "./postgres.ts";

const UNKNOWN = "00000000-0000-4000-8000-000000000000";

let testDatabase: TestDatabase;
let app: FastifyInstance;

before(async () => {
  testDatabase = await createTestDatabase();
  app = buildApp({ logLevel: "error" }, new Database(testDatabase.url));
});

after(async () => {
  await app?.close();
  await testDatabase?.drop();
});

beforeEach(async () => {
  for (const { id } of (await app.inject("/items?limit=100")).json().items) {
    await app.inject({ method: "DELETE", url: `/items/${id}` });
  }
});

async function create(payload: object) {
  const answer = await app.inject({ method: "POST", url: "/items", payload });
  assert.equal(answer.statusCode, 201);
  return answer.json();
}

test("the service is ready", async () => {
  assert.equal((await app.inject("/readyz")).statusCode, 200);
});

test("a created item can be read back", async () => {
  const answer = await app.inject({ method: "POST", url: "/items", payload: { name: "tea" } });
  const item = answer.json();
  const { id, created_at, ...given } = item;
  assert.equal(answer.statusCode, 201);
  assert.equal(answer.headers.location, `/items/${id}`);
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(given, { name: "tea", description: null });
  assert.deepEqual((await app.inject(`/items/${id}`)).json(), item);
});

test("pages hold every item once, oldest first", async () => {
  const created = [];
  for (let number = 1; number <= 5; number += 1) created.push(await create({ name: `${number}` }));

  const listed = [];
  let cursor = "";
  for (let pages = 1; pages <= 3; pages += 1) {
    const page = (await app.inject(`/items?limit=2${cursor}`)).json();
    listed.push(...page.items);
    cursor = `&cursor=${page.next_cursor}`;
  }
  assert.equal(cursor, "&cursor=null");
  assert.deepEqual(
    listed,
    created.toSorted((a, b) => (a.created_at + a.id < b.created_at + b.id ? -1 : 1)),
  );
});

test("a patch changes only what it names", async () => {
  const item = await create({ name: "tea", description: "green" });
  const url = `/items/${item.id}`;

  const renamed = await app.inject({ method: "PATCH", url, payload: { name: "coffee" } });
  assert.equal(renamed.statusCode, 200);
  assert.deepEqual(renamed.json(), { ...item, name: "coffee" });

  const cleared = await app.inject({ method: "PATCH", url, payload: { description: null } });
  assert.deepEqual(cleared.json(), { ...item, name: "coffee", description: null });
});

test("a deleted item is gone", async () => {
  const { id } = await create({ name: "tea" });
  assert.equal((await app.inject({ method: "DELETE", url: `/items/${id}` })).statusCode, 204);
  assert.equal((await app.inject(`/items/${id}`)).statusCode, 404);
});

for (const [method, payload] of [
  ["GET", undefined],
  ["PATCH", { name: "tea" }],
  ["DELETE", undefined],
] as const) {
  test(`${method} of an unknown item is a 404`, async () => {
    const url = `/items/${UNKNOWN}`;
    const answer = await app.inject({ method, url, ...(payload && { payload }) });
    assert.equal(answer.statusCode, 404);
  });
}

for (const payload of [
  {},
  { name: "" },
  { name: "x".repeat(201) },
  { name: 7 },
  { name: null },
  { name: "tea", description: "x".repeat(2001) },
  { name: "tea", color: "green" },
]) {
  test(`an item from ${JSON.stringify(payload).slice(0, 40)} is refused`, async () => {
    const answer = await app.inject({ method: "POST", url: "/items", payload });
    assert.equal(answer.statusCode, 400);
    assert.equal(answer.json().code, "FST_ERR_VALIDATION");
  });
}

for (const url of ["/items?limit=0", "/items?limit=101", "/items?cursor=x", "/items/7"]) {
  test(`GET ${url} is refused`, async () => {
    const answer = await app.inject(url);
    assert.equal(answer.statusCode, 400);
    assert.equal(answer.json().code, "FST_ERR_VALIDATION");
  });
}
