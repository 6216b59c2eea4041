-- The same text for SQLite and PostgreSQL: TEXT for ids and JSON, BIGINT for numbers, times in
-- milliseconds since 1970, flags as 0 and 1.

-- Small, so that lists, limits and heartbeats read no prompt.
CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    -- The key that made it; nobody else sees it.
    owner TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    background BIGINT NOT NULL,
    created BIGINT NOT NULL,
    -- The last use, from which retention counts.
    touched BIGINT NOT NULL,
    -- Who is producing the answer; NULL when nobody is.
    process TEXT,
    -- Somebody has asked its producer to stop.
    stopping BIGINT NOT NULL,
    previous TEXT,
    conversation TEXT,
    -- How many of the conversation's places had been read.
    upto BIGINT NOT NULL,
    size BIGINT NOT NULL
);
CREATE INDEX responses_by_use ON responses (touched);
CREATE INDEX responses_by_owner ON responses (owner, touched);
CREATE INDEX responses_by_process ON responses (process);

CREATE TABLE bodies (
    id TEXT PRIMARY KEY REFERENCES responses (id) ON DELETE CASCADE,
    -- The items this turn brought, a JSON array.
    input TEXT NOT NULL,
    -- The whole response object.
    response TEXT NOT NULL
);

-- A stream's events as they were sent, several to a row.
CREATE TABLE events (
    response TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (response, first)
);

CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created BIGINT NOT NULL,
    touched BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    -- The place of the next item.
    next BIGINT NOT NULL,
    size BIGINT NOT NULL
);
CREATE INDEX conversations_by_use ON conversations (touched);
CREATE INDEX conversations_by_owner ON conversations (owner, touched);

CREATE TABLE items (
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    id TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (conversation, place)
);
CREATE UNIQUE INDEX items_by_id ON items (conversation, id);

-- Who is alive, where several gateways share the store.
CREATE TABLE processes (
    id TEXT PRIMARY KEY,
    seen BIGINT NOT NULL
);
