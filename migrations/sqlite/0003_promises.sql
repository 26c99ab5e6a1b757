-- All times are UTC milliseconds since 1970, by the wall clock. The same version in the other folder
-- says the same.

-- What is owed to customers. number is for people; rows are never removed.
create table promises (
    number integer primary key autoincrement not null,
    id text unique not null,
    kind text not null,         -- callback-ordered, rating-call, incident, ...
    name text not null,         -- survey, robot or incident of the plan; empty for callbacks
    phone text not null,        -- E.164
    grp text,
    script text not null,       -- the file of the plan
    made_ms integer not null,
    due_ms integer not null,
    next_ms integer,
    contacted_ms integer,
    ended_ms integer,
    state text not null,        -- open, scheduled, attempting, talking, kept, broken, ...
    attempts integer not null,  -- begun; the number of the last one
    not_counted integer not null,  -- of them: the customer's phone never rang
    place text,                 -- JSON: {"entered": 1795255200000, "priority": 10}
    about text not null,        -- JSON
    event text unique,
    escalated boolean not null, -- supervisors were told that it will be late
    overdue boolean not null,   -- and that it is
    note text not null,
    rehearsal boolean not null
);
create index promises_by_making on promises (made_ms);
create index open_promises on promises (due_ms) where ended_ms is null;
create index promises_by_phone on promises (phone);

-- How promises came to stand as they do. seq orders, also when the wall clock jumped.
create table promise_history (
    promise text not null,
    seq integer not null,
    at_ms integer not null,
    state text not null,
    due_ms integer not null,
    next_ms integer,
    attempts integer not null,
    escalated boolean not null,
    note text not null,
    primary key (promise, seq)
);

-- Calls of customers: each is stored before it is dialled.
create table attempts (
    promise text not null,
    number integer not null,    -- from 1
    call_id text not null,
    at_ms integer not null,
    outcome text,               -- null: under way, or cut off by the death of the server
    ended_ms integer,
    operator text,
    primary key (promise, number)
);
create index attempts_by_time on attempts (at_ms);
create index attempts_by_call on attempts (call_id);

-- What customers thought of a conversation.
create table ratings (
    given_in text not null,     -- the call in which the key was pressed
    survey text not null,
    score integer not null,     -- 1 to 5
    call_id text,               -- the call with the conversation
    promise text,               -- null: asked in the same call
    operator text,
    grp text,
    topic text,
    at_ms integer not null,
    rehearsal boolean not null,
    primary key (given_in, survey)
);
create index ratings_by_time on ratings (at_ms);
create index ratings_by_call on ratings (call_id);

-- Who is not to be called, and by what.
create table do_not_call (
    phone text not null,        -- E.164
    robot text not null,        -- a survey or robot of the plan; empty: all
    source text not null,
    at_ms integer not null,
    primary key (phone, robot)
);

-- What customers agreed to and forbade. Rows are added and never changed.
create table consents (
    phone text not null,        -- E.164
    at_ms integer not null,
    said text not null,
    primary key (phone, at_ms, said)
);

-- What happened in the shop, until somebody has seen to it.
create table shop_events (
    number integer primary key autoincrement not null,
    key text unique not null,
    name text not null,
    phone text not null,        -- E.164
    fields text not null,       -- JSON
    source text not null,
    arrived_ms integer not null,
    taken_ms integer
);
create index pending_shop_events on shop_events (number) where taken_ms is null;

-- What we changed in the CRM, or tried to.
create table crm_writes (
    number integer primary key autoincrement not null,
    id text unique not null,
    at_ms integer not null,
    call_id text not null,
    phone text not null,        -- E.164
    what text not null,         -- JSON: {"bonus": {"points": 50, "reason": "..."}}
    status text not null,       -- pending, done, failed
    tries integer not null,
    error text,
    ended_ms integer
);
create index pending_crm_writes on crm_writes (number) where status = 'pending';

-- Changes that the embedded CRM made, so that none is made twice.
create table crm_changes (
    id text primary key not null
);

create table stopped_robots (
    name text primary key not null,
    since_ms integer not null
);

alter table calls add column rehearsal boolean not null default false;
