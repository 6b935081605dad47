/** Items in MongoDB, one document each, with the id as _id. */

import { randomUUID } from "node:crypto";
import { type Collection, MongoClient, MongoServerError } from "mongodb";
import type { Item, ItemChanges, NewItem, Position } from "./items.ts";
import { inTime } from "./wait.ts";

const AUTHENTICATION_FAILED = 18;

type ItemDocument = { _id: string; name: string; description: string | null; created_at: Date };

/** A connection string may come without a database: Atlas gives it that way. */
export function databaseName(databaseUrl: string): string {
  const path = /^[^:]+:\/\/[^/?]+\/([^?]*)/.exec(databaseUrl)?.[1];
  return path ? decodeURIComponent(path) : "app";
}

export class Database {
  readonly #client: MongoClient;
  readonly #items: Collection<ItemDocument>;
  #indexed = false;

  constructor(databaseUrl: string) {
    this.#client = new MongoClient(databaseUrl);
    this.#items = this.#client.db(databaseName(databaseUrl)).collection("items");
  }

  ping(): Promise<void> {
    return inTime(this.#ready());
  }

  /** The first answer also makes sure of the index that the list reads. */
  async #ready(): Promise<void> {
    await this.#client.db("admin").command({ ping: 1 });
    if (this.#indexed) return;
    await this.#items.createIndex({ created_at: 1, _id: 1 });
    this.#indexed = true;
  }

  refuses(error: unknown): boolean {
    return error instanceof MongoServerError && error.code === AUTHENTICATION_FAILED;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async createItem({ name, description = null }: NewItem): Promise<Item> {
    const document = { _id: randomUUID(), name, description, created_at: new Date() };
    await this.#items.insertOne(document);
    return toItem(document);
  }

  async listItems(after: Position | null, limit: number): Promise<Item[]> {
    const filter = after
      ? {
          $or: [
            { created_at: { $gt: after.created_at } },
            { created_at: after.created_at, _id: { $gt: after.id } },
          ],
        }
      : {};
    const documents = this.#items.find(filter).sort({ created_at: 1, _id: 1 }).limit(limit);
    return documents.map(toItem).toArray();
  }

  async findItem(id: string): Promise<Item | null> {
    const document = await this.#items.findOne({ _id: id.toLowerCase() });
    return document && toItem(document);
  }

  async updateItem(id: string, changes: ItemChanges): Promise<Item | null> {
    if (Object.keys(changes).length === 0) return this.findItem(id);
    const document = await this.#items.findOneAndUpdate(
      { _id: id.toLowerCase() },
      { $set: changes },
      { returnDocument: "after" },
    );
    return document && toItem(document);
  }

  async deleteItem(id: string): Promise<boolean> {
    const { deletedCount } = await this.#items.deleteOne({ _id: id.toLowerCase() });
    return deletedCount === 1;
  }
}

function toItem({ _id, name, description, created_at }: ItemDocument): Item {
  return { id: _id, name, description, created_at };
}
