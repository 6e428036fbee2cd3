-- Whose a token is: the account itself, not its name, which somebody else may have later. None is the command line's, if there is
-- no name either; with a name and without an account it opens nothing.
alter table api_token add column owner_id integer references user_account (id) on delete cascade;

-- A name is taken for an account only where it can be nothing else: the account was there first, and no token has the name.
update api_token set owner_id = (select u.id from user_account u where u.name = created_by and u.created_at <= api_token.created_at)
    where created_by <> '' and created_by not in (select name from api_token);

create index api_token_owner on api_token (owner_id);
