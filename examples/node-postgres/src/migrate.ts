/** Bring the schema up to date with migrations/, then end. */

import pg from "pg";
import { ConfigError, readDatabaseUrl } from "./config.ts";
import { connectionString, Database } from "./postgres.ts";
import { describe, waitUntilReady } from "./wait.ts";

/** Two at once wait for each other. */
export async function migrate(databaseUrl: string): Promise<void> {
  const { runner } = await import("node-pg-migrate");
  const client = new pg.Client(connectionString(databaseUrl));
  await client.connect();
  try {
    await runner({
      dbClient: client,
      dir: new URL("../migrations", import.meta.url).pathname,
      direction: "up",
      migrationsTable: "pgmigrations",
      advisoryLockMode: "wait",
      log: console.error,
    });
  } finally {
    await client.end();
  }
}

async function main(): Promise<void> {
  const databaseUrl = readDatabaseUrl(process.env.DATABASE_URL);
  const database = new Database(databaseUrl);
  try {
    await waitUntilReady(database, { warn: console.error });
  } finally {
    await database.close();
  }
  await migrate(databaseUrl);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    const reason = error instanceof ConfigError ? error.message : describe(error);
    console.error(`Not migrated: ${reason}`);
    process.exitCode = 1;
  }
}
