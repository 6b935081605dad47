/** Items in Postgres. The migrations make the schema; see migrations/. */

import { randomUUID } from "node:crypto";
import pg from "pg";
import type { Item, ItemChanges, NewItem, Position } from "./items.ts";
import { inTime } from "./wait.ts";

/** invalid_authorization_specification, invalid_password, invalid_catalog_name */
const REFUSALS: readonly unknown[] = ["28000", "28P01", "3D000"];

/** Make sslmode mean what it means in libpq, as the URLs of managed services expect. */
export function connectionString(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set("uselibpqcompat", "true");
  // The system's certificates are what Node uses when no file is named.
  if (url.searchParams.get("sslrootcert") === "system") {
    url.searchParams.delete("sslrootcert");
    url.searchParams.set("sslmode", "verify-full");
  }
  return url.href;
}

export class Database {
  readonly #pool: pg.Pool;

  constructor(databaseUrl: string) {
    this.#pool = new pg.Pool({
      connectionString: connectionString(databaseUrl),
      connectionTimeoutMillis: 5_000,
    });
    // The pool replaces an idle connection that breaks. Without a listener the process would end.
    this.#pool.on("error", () => {});
  }

  ping(): Promise<void> {
    return inTime(this.#pool.query("SELECT 1"));
  }

  refuses(error: unknown): boolean {
    return error instanceof pg.DatabaseError && REFUSALS.includes(error.code);
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  async createItem({ name, description = null }: NewItem): Promise<Item> {
    const { rows } = await this.#pool.query<Item>(
      `INSERT INTO items (id, name, description) VALUES ($1, $2, $3)
       RETURNING id, name, description, created_at`,
      [randomUUID(), name, description],
    );
    return rows[0] as Item;
  }

  async listItems(after: Position | null, limit: number): Promise<Item[]> {
    const { rows } = await this.#pool.query<Item>(
      `SELECT id, name, description, created_at FROM items
       WHERE $1::timestamptz IS NULL OR (created_at, id) > ($1, $2::uuid)
       ORDER BY created_at, id LIMIT $3`,
      [after?.created_at ?? null, after?.id ?? null, limit],
    );
    return rows;
  }

  async findItem(id: string): Promise<Item | undefined> {
    const { rows } = await this.#pool.query<Item>(
      "SELECT id, name, description, created_at FROM items WHERE id = $1",
      [id],
    );
    return rows[0];
  }

  async updateItem(id: string, changes: ItemChanges): Promise<Item | undefined> {
    const { rows } = await this.#pool.query<Item>(
      `UPDATE items SET name = coalesce($2, name),
                        description = CASE WHEN $3 THEN $4 ELSE description END
       WHERE id = $1 RETURNING id, name, description, created_at`,
      [id, changes.name ?? null, "description" in changes, changes.description ?? null],
    );
    return rows[0];
  }

  async deleteItem(id: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query("DELETE FROM items WHERE id = $1", [id]);
    return rowCount === 1;
  }
}
