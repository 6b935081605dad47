/** The settings, read from the environment and checked once at start. */

export type LogLevel = "debug" | "info" | "warn" | "error";

export type Config = {
  readonly host: string;
  readonly port: number;
  readonly logLevel: LogLevel;
  readonly databaseUrl: string;
};

/** A setting is missing or wrong. The message names it and never repeats a secret. */
export class ConfigError extends Error {}

export function readConfig(env: NodeJS.ProcessEnv): Config {
  return {
    host: env.HOST || "0.0.0.0",
    port: readPort(env.PORT || "8000"),
    logLevel: readLogLevel(env.LOG_LEVEL || "info"),
    databaseUrl: readDatabaseUrl(env.DATABASE_URL),
  };
}

function readPort(value: string): number {
  const port = Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ConfigError(`PORT is "${value}": use a number from 0 to 65535.`);
  }
  return port;
}

function readLogLevel(value: string): LogLevel {
  switch (value.toLowerCase()) {
    case "debug":
      return "debug";
    case "info":
      return "info";
    case "warning":
    case "warn":
      return "warn";
    case "error":
      return "error";
    default:
      throw new ConfigError(`LOG_LEVEL is "${value}": use debug, info, warning or error.`);
  }
}

const EXAMPLE = "postgresql://USER:PASSWORD@HOST:5432/DATABASE";

export function readDatabaseUrl(value: string | undefined): string {
  if (!value) {
    throw new ConfigError(`DATABASE_URL is not set: use a URL such as ${EXAMPLE}.`);
  }
  if (!/^postgres(ql)?:\/\//.test(value) || !URL.canParse(value)) {
    throw new ConfigError(`DATABASE_URL is not a Postgres URL: use one such as ${EXAMPLE}.`);
  }
  const sslMode = new URL(value).searchParams.get("sslmode");
  if (sslMode === "prefer" || sslMode === "allow") {
    throw new ConfigError(
      `DATABASE_URL has sslmode=${sslMode}, which is not supported: use require or disable.`,
    );
  }
  return value;
}
