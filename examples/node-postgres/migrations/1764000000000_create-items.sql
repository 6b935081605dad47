-- Up Migration
CREATE TABLE items (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  description text,
  -- Milliseconds, as the API shows them: a cursor holds exactly what is stored.
  created_at timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX items_created_at_id ON items (created_at, id);

-- Down Migration
DROP TABLE items;
