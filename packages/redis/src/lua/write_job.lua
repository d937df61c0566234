-- A worker writes a document as changed into its job: a job's data, or of a bundle the field of the document.
-- KEYS: job, its lock   ARGV: token, field, document
-- Returns: SAVED | GONE, as write_document.lua says
return write_document(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])
