/** The /items resource: what a request may hold, and what it gets back. */

import type { FastifyInstance } from "fastify";
import type { Database } from "./postgres.ts";

export type Item = {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly created_at: Date;
};

export type NewItem = { name: string; description?: string | null };
export type ItemChanges = Partial<NewItem>;

/** The place of an item in the list, which is in the order of created_at and id. */
export type Position = Pick<Item, "created_at" | "id">;

type One = { Params: { id: string } };
type Many = { Querystring: { limit: number; cursor?: string } };

const UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
const CURSOR = new RegExp(`^([12]\\d{3}-\\S+Z) (${UUID})$`);

// No NUL, which Postgres cannot store, and no half of a surrogate pair, which UTF-8 cannot.
const pattern = "^[^\\0\\p{Cs}]*$";
const name = { type: "string", minLength: 1, maxLength: 200, pattern };
const description = { type: "string", nullable: true, maxLength: 2000, pattern };
const params = { type: "object", properties: { id: { type: "string", pattern: `^${UUID}$` } } };
const newItem = {
  type: "object",
  properties: { name, description },
  required: ["name"],
  additionalProperties: false,
};
const itemChanges = { ...newItem, required: [] };
const page = {
  type: "object",
  properties: {
    limit: { type: "integer", minimum: 1, maximum: 100, default: 20 },
    cursor: { type: "string" },
  },
};

export async function itemRoutes(
  app: FastifyInstance,
  { database }: { database: Database },
): Promise<void> {
  app.post<{ Body: NewItem }>("/", { schema: { body: newItem } }, async (request, reply) => {
    const item = await database.createItem(request.body);
    return reply.code(201).header("location", `/items/${item.id}`).send(item);
  });

  app.get<Many>(
    "/",
    {
      schema: { querystring: page },
      // Every value of a query is text, and the schema converts nothing.
      preValidation: async ({ query }: { query: { limit?: unknown } }) => {
        if (/^\d+$/.test(String(query.limit))) query.limit = Number(query.limit);
      },
    },
    async ({ query: { limit, cursor } }) => {
      const after = cursor === undefined ? null : readCursor(cursor);
      // One more than asked for tells whether there is a next page.
      const found = await database.listItems(after, limit + 1);
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return { items, next_cursor: last && found.length > limit ? writeCursor(last) : null };
    },
  );

  app.get<One>("/:id", { schema: { params } }, async (request) => {
    return (await database.findItem(request.params.id)) ?? notFound();
  });

  app.patch<One & { Body: ItemChanges }>(
    "/:id",
    { schema: { params, body: itemChanges } },
    async (request) => {
      return (await database.updateItem(request.params.id, request.body)) ?? notFound();
    },
  );

  app.delete<One>("/:id", { schema: { params } }, async (request, reply) => {
    if (!(await database.deleteItem(request.params.id))) notFound();
    return reply.code(204).send();
  });
}

export function writeCursor({ created_at, id }: Position): string {
  return Buffer.from(`${created_at.toISOString()} ${id}`).toString("base64url");
}

export function readCursor(cursor: string): Position {
  const [, time = "", id = ""] = CURSOR.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  const created_at = new Date(time);
  if (Number.isNaN(created_at.getTime())) {
    const error = new Error("querystring/cursor must be a next_cursor of an earlier answer");
    throw Object.assign(error, { statusCode: 400, code: "FST_ERR_VALIDATION" });
  }
  return { created_at, id };
}

function notFound(): never {
  throw Object.assign(new Error("There is no such item"), { statusCode: 404 });
}
