-- All times are UTC milliseconds since 1970. The same version in the other folder says the same.

-- The people who take calls, and the SIP accounts of their phones.
create table operators (
    login text primary key not null,
    name text not null,
    extension text unique,
    in_groups text not null,    -- JSON: ["support"]
    skills text not null,       -- JSON: {"orders": 8}
    role text not null,         -- operator, supervisor
    auto_answer boolean not null,
    whisper boolean not null,
    digest text,                -- md5, sha-256, both; null: as the settings say
    realm text not null,        -- the one that the hashes were made for
    ha1_md5 text not null,
    ha1_sha256 text not null
);

-- What operators want: over restarts and registrations. No row: logged out.
create table attendance (
    login text primary key not null,
    in_groups text not null,    -- JSON: groups logged in to; []: logged out
    paused text,                -- the reason, perhaps empty; null: not paused
    since_ms integer not null
);

-- Stays in a group's line, one row for each that ended. call_id and seq are those of the event.
create table visits (
    call_id text not null,
    seq integer not null,
    grp text not null,
    origin text not null,       -- called, came-back, transferred, operator-lost
    entered_ms integer not null,
    wait_ms integer not null,
    outcome text not null,      -- answered, abandoned, callback, nobody, full, lost
    operator text,
    primary key (call_id, seq)
);
create index visits_by_entry on visits (entered_ms);

-- Conversations of operators, one row for each whose wrap-up is over.
create table conversations (
    call_id text not null,
    seq integer not null,
    operator text not null,
    grp text,
    began_ms integer not null,
    talk_ms integer not null,      -- without hold
    hold_ms integer not null,
    wrap_up_ms integer not null,
    topic text,
    primary key (call_id, seq)
);
create index conversations_by_beginning on conversations (began_ms);

-- Which tips a caller heard while waiting.
create table tips_heard (
    caller text not null,
    tip text not null,          -- id of the recording
    at_ms integer not null,
    primary key (caller, tip)
);
create index tips_by_time on tips_heard (at_ms);
