-- Files that show a credential. A row is never deleted and only ever marked as removed: its digests tell a file that comes again.
CREATE TABLE credential_documents (
    -- The object in storage has this name too.
    id            uuid        NOT NULL CONSTRAINT credential_documents_pkey PRIMARY KEY,
    credential_id uuid        NOT NULL CONSTRAINT credential_documents_credential_exists REFERENCES credentials,
    -- SHA-256 of the file as it came, and as it is kept: pictures are written anew.
    sent_sha256   bytea       NOT NULL CONSTRAINT credential_documents_sent_sha256 CHECK (octet_length(sent_sha256) = 32),
    sha256        bytea       NOT NULL CONSTRAINT credential_documents_sha256 CHECK (octet_length(sha256) = 32),
    size          bigint      NOT NULL CONSTRAINT credential_documents_size_positive CHECK (size > 0),
    media_type    text        NOT NULL CONSTRAINT credential_documents_media_type_known CHECK (media_type IN ('application/pdf', 'image/jpeg', 'image/png')),
    name          text        NOT NULL CONSTRAINT credential_documents_name_length CHECK (char_length(name) BETWEEN 1 AND 120),
    -- Of a PDF its pages, of a picture its width and height in pixels.
    pages         integer     CONSTRAINT credential_documents_pages_range CHECK (pages BETWEEN 1 AND 30),
    width         integer     CONSTRAINT credential_documents_width_range CHECK (width BETWEEN 1 AND 12000),
    height        integer     CONSTRAINT credential_documents_height_range CHECK (height BETWEEN 1 AND 12000),
    uploaded_at   timestamptz NOT NULL,
    removed_at    timestamptz,
    -- Whether the file itself is gone: what was handed in for a review is kept for reviewers.
    erased        boolean     NOT NULL DEFAULT false,
    CONSTRAINT credential_documents_extent CHECK (CASE media_type WHEN 'application/pdf' THEN pages IS NOT NULL AND width IS NULL AND height IS NULL
                                                  ELSE pages IS NULL AND width IS NOT NULL AND height IS NOT NULL END),
    CONSTRAINT credential_documents_erased_removed CHECK (NOT erased OR removed_at IS NOT NULL)
);
CREATE INDEX credential_documents_by_credential ON credential_documents (credential_id, id);
CREATE INDEX credential_documents_by_sent_sha256 ON credential_documents (sent_sha256);
CREATE INDEX credential_documents_by_sha256 ON credential_documents (sha256);

-- The one change that there may be is the removal, once.
CREATE TRIGGER credential_documents_append_only BEFORE UPDATE ON credential_documents FOR EACH ROW
    WHEN (OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL
          OR (OLD.id, OLD.credential_id, OLD.sent_sha256, OLD.sha256, OLD.size, OLD.media_type, OLD.name, OLD.uploaded_at)
             IS DISTINCT FROM (NEW.id, NEW.credential_id, NEW.sent_sha256, NEW.sha256, NEW.size, NEW.media_type, NEW.name, NEW.uploaded_at))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credential_documents_keep_rows BEFORE DELETE ON credential_documents
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credential_documents_keep BEFORE TRUNCATE ON credential_documents
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
