-- All times are UTC milliseconds since 1970, by the wall clock. The same version in the other folder
-- says the same.

-- Who was asked in the same call how the conversation was. Who answered is in ratings.
create table asked_in_call (
    call_id text not null,
    survey text not null,
    at_ms integer not null,
    rehearsal boolean not null,
    primary key (call_id, survey)
);
create index asked_in_call_by_time on asked_in_call (at_ms);
