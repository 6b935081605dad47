import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { ConfigError, readConfig } from "../src/config.ts";

const DATABASE_URL = "postgresql://app:secret@localhost:5432/app";

test("the defaults need no more than a database", () => {
  assert.deepEqual(readConfig({ DATABASE_URL }), {
    host: "0.0.0.0",
    port: 8000,
    logLevel: "info",
    databaseUrl: DATABASE_URL,
  });
});

for (const [name, value] of [
  ["PORT", "http"],
  ["PORT", "65536"],
  ["LOG_LEVEL", "loud"],
  ["DATABASE_URL", "mysql://app:secret@localhost/app"],
] as const) {
  test(`${name}=${value} is refused, by name`, () => {
    const env = { DATABASE_URL, [name]: value };
    assert.throws(
      () => readConfig(env),
      (error) =>
        error instanceof ConfigError &&
        error.message.startsWith(name) &&
        !error.message.includes("secret"),
    );
  });
}

test("a wrong setting ends the start with one line", async () => {
  const started = promisify(execFile)(process.execPath, ["src/main.ts"], { env: {} });
  await assert.rejects(started, { code: 1, stdout: "", stderr: /^DATABASE_URL is not set: .*\n$/ });
});
