-- The card of the dataset says that it is not for everybody.
ALTER TABLE datasets ADD COLUMN restricted INTEGER NOT NULL DEFAULT 0;
