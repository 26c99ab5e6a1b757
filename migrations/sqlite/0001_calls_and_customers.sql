-- All times are UTC milliseconds since 1970. The same version in the other folder says the same.

-- What the house remembers of itself: one row per name.
create table meta (
    name text primary key not null,
    value text not null
);

-- One row per call; no ended_ms: the call is up.
create table calls (
    id text primary key not null,
    started_ms integer not null,
    answered_ms integer,
    ended_ms integer,
    caller_kind text not null,  -- number, anonymous, other
    caller text not null,       -- E.164, or the name that the network gave
    dialled text not null,
    plan text not null,         -- version of the dialplan
    ended_by text,              -- caller, plan, server, network
    end_reason text,
    rtp text                    -- JSON
);
create index calls_by_start on calls (started_ms);
create index open_calls on calls (id) where ended_ms is null;

-- The life of a call. seq orders and never repeats within a call. No foreign key: what happened is
-- kept even if the beginning of the call was lost.
create table call_events (
    call_id text not null,
    seq integer not null,
    at_ms integer not null,
    fact text not null,         -- JSON
    primary key (call_id, seq)
);

-- The embedded CRM. Several customers may share a phone.
create table customers (
    phone text not null,        -- E.164
    name text,
    points integer,
    vip boolean not null,
    manager text,
    language text,
    balance integer,               -- kopecks
    card text,
    timezone text
);
create index customers_by_phone on customers (phone);

create table orders (
    number text primary key not null,
    number_key text not null,   -- letters and digits only, capital
    number_digits text not null,
    phone text not null,        -- E.164
    status text,
    due text,                   -- 2026-11-21
    sum integer,                   -- kopecks
    updated_ms integer
);
create index orders_by_phone on orders (phone);
create index orders_by_key on orders (number_key);
create index orders_by_digits on orders (number_digits);
