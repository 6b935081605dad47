/** The HTTP application: its framework settings, its health and its routes. */

import { type FastifyInstance, fastify } from "fastify";
import type { Config } from "./config.ts";
import { itemRoutes } from "./items.ts";
import type { Database } from "./mongo.ts";
import { describe } from "./wait.ts";

/** The application closes the database when it closes. */
export function buildApp(config: Pick<Config, "logLevel">, database: Database): FastifyInstance {
  const app = fastify({
    logger: {
      level: config.logLevel,
      messageKey: "message",
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
    },
    // A request says exactly what it means: nothing is converted, nothing unknown is dropped.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });

  // Probes come every few seconds: only their failures are worth a line in the log.
  app.get("/healthz", { logLevel: "warn" }, () => ({ status: "ok" }));
  app.get("/readyz", { logLevel: "warn" }, async (request, reply) => {
    try {
      await database.ping();
    } catch (error) {
      request.log.warn(`The database does not answer: ${describe(error)}`);
      return reply.code(503).send({ status: "unavailable" });
    }
    return { status: "ok" };
  });

  app.register(itemRoutes, { database, prefix: "/items" });
  app.addHook("onClose", () => database.close());
  app.get("/", () => ({ name: "node-mongo" }));
  return app;
}
