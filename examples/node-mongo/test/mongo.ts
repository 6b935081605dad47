/** A database of its own for a test run, next to the one for development and never the same. */

import { MongoClient } from "mongodb";
import { databaseName } from "../src/mongo.ts";

export type TestDatabase = { url: string; drop(): Promise<void> };

/** Make sure of an empty database at TEST_DATABASE_URL or beside DATABASE_URL. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const url = testUrl(process.env);
  await dropDatabase(url);
  return { url, drop: () => dropDatabase(url) };
}

function testUrl(env: NodeJS.ProcessEnv): string {
  const given = env.TEST_DATABASE_URL || env.DATABASE_URL;
  if (!given) throw new Error("Set DATABASE_URL or TEST_DATABASE_URL to run the tests of /items.");
  if (!env.TEST_DATABASE_URL) return withDatabase(given, `${databaseName(given)}_test`);
  if (!databaseName(given).endsWith("_test")) {
    throw new Error("The database of TEST_DATABASE_URL is dropped: its name must end in _test.");
  }
  return given;
}

/** Outside Atlas, the database in the path is also where the user is kept, unless told otherwise. */
function withDatabase(url: string, name: string): string {
  const parts = /^(mongodb(?:\+srv)?:)\/\/([^/?]+)\/?([^?]*)\??(.*)$/.exec(url);
  const [, protocol, server, path, query] = parts ?? [];
  const options = new URLSearchParams(query);
  if (protocol === "mongodb:" && path && !options.has("authSource")) {
    options.set("authSource", decodeURIComponent(path));
  }
  return `${protocol}//${server}/${encodeURIComponent(name)}?${options}`;
}

async function dropDatabase(url: string): Promise<void> {
  const client = new MongoClient(url);
  try {
    await client.db(databaseName(url)).dropDatabase();
  } finally {
    await client.close();
  }
}
