-- The card of the dataset says that it is not for everybody.
ALTER TABLE datasets ADD COLUMN restricted BOOLEAN NOT NULL DEFAULT FALSE;
