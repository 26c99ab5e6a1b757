-- The name that came with the number; null: none did. What can't be shown is escaped (%0D).
alter table calls add column caller_name text;
