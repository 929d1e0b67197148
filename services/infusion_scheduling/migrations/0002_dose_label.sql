-- The label of the bag as manufacturing printed it, to be scanned at the bedside.
ALTER TABLE dose ADD COLUMN label text;
