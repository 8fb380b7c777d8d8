-- Small texts beside the tasks: what is known of files and batches. `id` sorts in the order in which
-- documents were made.
CREATE TABLE document (
    kind     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    label    TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

CREATE INDEX document_by_label ON document (kind, label, id);
