/** Start the service, and stop it cleanly on SIGTERM and SIGINT. */

import { buildApp } from "./app.ts";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { Database } from "./postgres.ts";
import { waitUntilReady } from "./wait.ts";

const CLOSE_TIMEOUT_MS = 5_000;

try {
  await serve(readConfig(process.env));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function serve(config: Config): Promise<void> {
  const database = new Database(config.databaseUrl);
  const app = buildApp(config, database);
  const stopping = new AbortController();

  async function stop(reason: string): Promise<void> {
    stopping.abort();
    app.log.info(`${reason}, stopping`);
    // A request or a database that hangs cannot hold up the end.
    setTimeout(() => process.exit(), CLOSE_TIMEOUT_MS).unref();
    await app.close();
  }
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);

  try {
    await Promise.all([waitUntilReady(database, app.log, stopping.signal), app.ready()]);
    if (stopping.signal.aborted) return;
    await app.listen({ host: config.host, port: config.port });
  } catch (error) {
    if (stopping.signal.aborted) return;
    app.log.fatal(error);
    process.exitCode = 1;
    await stop("The service could not start");
  }
}
