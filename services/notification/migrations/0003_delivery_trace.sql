-- The trace in which a message was queued, so that its sending, later and by a timer, continues it.
ALTER TABLE delivery ADD COLUMN traceparent text;
