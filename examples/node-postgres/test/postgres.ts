/** A database of its own for a test run, next to the one for development and never the same. */

import pg from "pg";
import { migrate } from "../src/migrate.ts";
import { connectionString } from "../src/postgres.ts";

export type TestDatabase = { url: string; drop(): Promise<void> };

/** Make an empty database with the schema, at TEST_DATABASE_URL or beside DATABASE_URL. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const url = testUrl(process.env);
  const name = decodeURIComponent(url.pathname.slice(1));
  await administer(url, [dropDatabase(name), `CREATE DATABASE ${pg.escapeIdentifier(name)}`]);
  await migrate(url.href);
  return { url: url.href, drop: () => administer(url, [dropDatabase(name)]) };
}

function testUrl(env: NodeJS.ProcessEnv): URL {
  const given = env.TEST_DATABASE_URL || env.DATABASE_URL;
  if (!given) throw new Error("Set DATABASE_URL or TEST_DATABASE_URL to run the tests of /items.");
  const url = new URL(given);
  if (!env.TEST_DATABASE_URL) url.pathname += "_test";
  if (!url.pathname.endsWith("_test")) {
    throw new Error("The database of TEST_DATABASE_URL is dropped: its name must end in _test.");
  }
  return url;
}

function dropDatabase(name: string): string {
  return `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`;
}

/** Databases are made and dropped from the maintenance database. */
async function administer(url: URL, statements: readonly string[]): Promise<void> {
  const maintenance = new URL(url);
  maintenance.pathname = "/postgres";
  const client = new pg.Client(connectionString(maintenance.href));
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
